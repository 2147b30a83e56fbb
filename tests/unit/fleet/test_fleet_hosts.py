from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from regfleet.fleet.findings import RefusedError
from regfleet.fleet.hosts import MAX_HOSTS, check_host, count, expand, hosts_of_item

LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("web1", ["web1"]),
        ("web[1:3]", ["web1", "web2", "web3"]),
        ("web[08:11].example.com", [f"web{n}.example.com" for n in ("08", "09", "10", "11")]),
        ("web[8:11]", ["web8", "web9", "web10", "web11"]),
        ("web[0:0]", ["web0"]),
        ("web[00:20:10]", ["web00", "web10", "web20"]),
        ("web[1:6:2]", ["web1", "web3", "web5"]),
        ("[a:c]", ["a", "b", "c"]),
        ("db-[A:E:2]x", ["db-Ax", "db-Cx", "db-Ex"]),
        ("r[1:2]n[a:b]", ["r1na", "r1nb", "r2na", "r2nb"]),
        ("[1:2][0:1]", ["10", "11", "20", "21"]),
        ("10.0.[1:2].1", ["10.0.1.1", "10.0.2.1"]),
        ("2001:db8::[1:2]", ["2001:db8::1", "2001:db8::2"]),
    ],
)
def test_ranges(pattern: str, names: list[str]) -> None:
    assert list(expand(pattern)) == names
    assert count(pattern) == len(names)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("web[0:999999999]", "stands for 1000000000 hosts"),
        ("web[0:9999999999]", "stands for too many hosts"),
        (f"web[0:{'9' * 5000}]", "stands for too many hosts"),
        (f"web[0:9:{'9' * 5000}]", "stands for too many hosts"),
        ("[0:9999][0:9999]", "stands for 100000000 hosts"),
        (f"web[1:{MAX_HOSTS + 1}]", f"stands for {MAX_HOSTS + 1} hosts"),
        ("web[1:9:0]", "step of 0"),
        ("web[2:1]", "ends before it begins"),
        ("web[b:a]", "ends before it begins"),
        ("web[01:5]", "pads its ends differently"),
        ("web[1:05]", "pads its ends differently"),
        ("web[1:a]", "mixes digits"),
        ("web[a:F]", "mixes digits"),
        ("web[aa:cc]", "cannot be read"),
        ("web[1-3]", "cannot be read"),
        ("web[1:]", "cannot be read"),
        ("web[]", "cannot be read"),
        ("web[", "cannot be read"),
        ("web[1:2]]", "cannot be read"),
        ("web[-1:2]", "cannot be read"),
        ("web[1:2:3:4]", "cannot be read"),
        ("web[\u0661:\u0662]", "cannot be read"),
        ("-[1:2]", "is not a host name"),
        ("web-[1:2].-x", "is not a host name"),
        (f"{'w' * 61}[1:100]", "is not a host name"),
        ("10.0.0.[250:256]", "is not an IPv4 address"),
        ("[1:2]", "is not an IPv4 address"),
        ("@ssh", "is not known"),
        ("@local[1:2]", "is not known"),
    ],
)
def test_what_is_no_host_or_range(pattern: str, words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        check_host(pattern)


def test_the_longest_range() -> None:
    check_host(f"web[1:{MAX_HOSTS}]")
    assert count(f"web[1:{MAX_HOSTS}]") == MAX_HOSTS


@given(LABELS, st.integers(0, 999), st.integers(0, 50), st.integers(1, 7), st.integers(0, 6))
@example("w", 7, 5, 1, 2)
def test_a_range_of_numbers(head: str, low: int, more: int, step: int, width: int) -> None:
    high = low + more
    ends = f"{low:0{width}d}", f"{high:0{width}d}"
    padded = any(len(end) > 1 and end.startswith("0") for end in ends)
    names = list(expand(f"{head}-[{ends[0]}:{ends[1]}:{step}].example.com"))
    numbers = [name.removeprefix(f"{head}-").removesuffix(".example.com") for name in names]
    assert [int(number) for number in numbers] == list(range(low, high + 1, step))
    assert len(set(names)) == len(names)
    if padded:
        assert {len(number) for number in numbers} == {len(ends[0])}
    else:
        assert [str(int(number)) for number in numbers] == numbers


@given(st.text(alphabet="ab01[]:-.@% ", max_size=20))
def test_any_text_is_refused_or_stands_for_as_many_as_counted(pattern: str) -> None:
    try:
        check_host(pattern)
    except RefusedError:
        return
    number = count(pattern)
    assert 1 <= number <= MAX_HOSTS
    if number < 1000:
        names = list(expand(pattern))
        assert len(names) == number
        for name in names:
            check_host(name)  # a range that passes makes names that pass


@pytest.mark.parametrize(
    ("item", "hosts"),
    [
        ("a", [("a", "a")]),
        ("@local", [("@local", "localhost")]),
        ({"name": "a"}, [("a", "a")]),
        ({"name": "a", "address": "192.0.2.1"}, [("a", "192.0.2.1")]),
        ({"name": "w[1:2]"}, [("w1", "w1"), ("w2", "w2")]),
        (
            {"name": "w[1:2]", "address": "10.0.0.[11:12]"},
            [("w1", "10.0.0.11"), ("w2", "10.0.0.12")],
        ),
    ],
)
def test_items_of_a_list(item: str | dict[str, str], hosts: list[tuple[str, str]]) -> None:
    assert list(hosts_of_item(item)) == hosts


def test_as_many_addresses_as_names() -> None:
    with pytest.raises(RefusedError, match="names for 2 and addresses for 3"):
        hosts_of_item({"name": "w[1:2]", "address": "10.0.0.[1:3]"})
