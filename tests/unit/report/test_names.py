"""Folded names: short, and still exactly those hosts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regfleet.fleet.hosts import expand
from regfleet.model.names import folded, listed


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], ""),
        (["web1"], "web1"),
        (["web1", "web2"], "web1, web2"),
        (["web1", "web2", "web3"], "web[1:3]"),
        (["web9", "web10", "web11"], "web[9:11]"),
        (["web09", "web10", "web11"], "web[09:11]"),
        (["web0", "web1", "web2"], "web[0:2]"),
        (["web8", "web09", "web10", "web11"], "web8, web[09:11]"),
        (["web9", "web010", "web011", "web012"], "web9, web[010:012]"),
        (["web098", "web099", "web100", "web101"], "web[098:101]"),
        (["web98", "web99", "web100"], "web[98:100]"),
        (["a7.x.example", "a8.x.example", "a9.x.example"], "a[7:9].x.example"),
        (["a1.x2.org", "a1.x3.org", "a1.x4.org"], "a1.x2.org, a1.x3.org, a1.x4.org"),
        (["dc1-web7b", "dc1-web8b", "dc1-web9b"], "dc1-web[7:9]b"),
        (["web1", "web3", "web5"], "web1, web3, web5"),
        (["web1", "web2", "web3", "db1", "web5"], "web[1:3], db1, web5"),
        (["192.0.2.1", "192.0.2.2", "192.0.2.3"], "192.0.2.1, 192.0.2.2, 192.0.2.3"),
        (["2001:db8::1", "2001:db8::2", "2001:db8::3"], "2001:db8::1, 2001:db8::2, 2001:db8::3"),
        (["@local"], "@local"),
    ],
)  # fmt: skip
def test_runs_of_numbers_are_ranges(names, said):
    assert listed(names) == said


labels = st.sampled_from(["web", "db-", "a1b", ""])
numbers = st.integers(0, 120)
names = st.lists(
    st.builds(
        lambda label, number, width, domain: f"{label}{number:0{width}d}{domain}",
        labels,
        numbers,
        st.sampled_from([1, 2, 3]),
        st.sampled_from(["", ".example.com", "-x.example.com"]),
    ),
    unique=True,
)


@given(names | names.map(sorted) | st.just([f"w{n}" for n in range(130)]))
def test_they_are_the_same_hosts_in_a_fleet_file(names):
    pieces = folded(names)
    assert [name for text, _ in pieces for name in expand(text)] == names
    assert [count for _, count in pieces] == [len(list(expand(text))) for text, _ in pieces]


@given(names, st.integers(10, 100))
def test_they_fit_and_the_rest_is_counted(names, width):
    said = listed(names, width)
    if said == listed(names):
        return
    *_, count, word = said.split(" ")
    assert word == "more"
    shown = said.rpartition(" and ")[0].split(", ")
    assert sum(len(list(expand(text))) for text in shown) + int(count) == len(names)
    assert len(said) <= width or len(shown) == 1
    assert len(shown) < len(folded(names))
