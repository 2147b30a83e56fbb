"""`--limit` and `--exclude`: names, groups and patterns; a typing mistake is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import client, fleet, host, registry

from regfleet.errors import EXIT_USAGE, UsageError
from regfleet.fleet.selection import select

FLEET = fleet(
    [registry(hosts=(host("reg1.example.com"),))],
    [
        client("build", hosts=(host("build1"), host("build2"), host("build10"))),
        client("web", hosts=(host("web1"), host("reg1.example.com"))),
    ],
)
ALL = ["reg1.example.com", "build1", "build2", "build10", "web1"]
BUILD = ["build1", "build2", "build10"]

CASES = [
    # limit, exclude, hosts
    ((), (), ALL),
    (("build1",), (), ["build1"]),
    (("web1", "build1"), (), ["build1", "web1"]),
    (("web1,build1",), (), ["build1", "web1"]),
    (("web1 , build1",), (), ["build1", "web1"]),
    (("build?",), (), ["build1", "build2"]),
    (("build*",), (), BUILD),
    (("build[12]",), (), ["build1", "build2"]),
    (("build[1:2]",), (), ["build1", "build2"]),
    (("build[1:20]",), (), BUILD),  # those that there are
    (("web1 , build[10:10]", "build[2:2]"), (), ["build2", "build10", "web1"]),
    (("*",), ("build[2:10]",), ["reg1.example.com", "build1", "web1"]),
    (("*",), (), ALL),
    (("client_build",), (), BUILD),
    (("client_*",), (), ALL),
    (("registries",), (), ["reg1.example.com"]),
    (("registry_main", "web1"), (), ["reg1.example.com", "web1"]),
    (("clients",), ("registries",), [*BUILD, "web1"]),
    ((), ("client_build",), ["reg1.example.com", "web1"]),
    ((), ("build1", "build2"), ["reg1.example.com", "build10", "web1"]),
    (("build1", "build1"), (), ["build1"]),
    (("build1",), ("web1",), ["build1"]),
    (("!build1",), (), ["reg1.example.com", "build2", "build10", "web1"]),
    (("build*", "!build2"), (), ["build1", "build10"]),
    (("build*,! client_web, !build[1:2]",), (), ["build10"]),
    (("!client_build",), ("web1",), ["reg1.example.com"]),
]


@pytest.mark.parametrize(("limit", "exclude", "hosts"), CASES)
def test_hosts_in_the_fleets_order(limit, exclude, hosts):
    assert select(FLEET, limit, exclude) == hosts


MISTAKES = [
    # limit, exclude, what is said, hint
    (("build.*",), (), "--limit build.*: that looks like a regular expression", "web[01:20]"),
    (("^build",), (), "regular expression", "shell's pattern"),
    ((), ("build(1|2)",), "--exclude build(1|2): that looks", "!"),
    (("!bild1",), (), "--limit !bild1: there", "did you mean build1?"),
    (("!*",), (), "no host is left", "--limit"),
    (("biuld1",), (), "--limit biuld1", "did you mean build1?"),
    (("clientbuild",), (), "--limit clientbuild", "did you mean client_build?"),
    ((), ("wbe1",), "--exclude wbe1", "did you mean web1?"),
    (("zzz",), (), "--limit zzz", "groups are registry_main, "),
    (("build1,zzz",), (), "--limit zzz", "groups are"),
    (("BUILD1",), (), "--limit BUILD1", ""),
    (("nothing*",), (), "--limit nothing*", ""),
    (("",), (), "--limit ", ""),
    (("web[7:9]",), (), "--limit web[7:9]", ""),
    (("web[9:1]",), (), "--limit web[9:1]", ""),
    (("web[1:x]",), (), "--limit web[1:x]", ""),
    (("build1",), ("build1",), "no host is left", "--exclude"),
    ((), ("*",), "no host is left", "--limit"),
]


@pytest.mark.parametrize(("limit", "exclude", "said", "hint"), MISTAKES)
def test_a_mistake_is_told(limit, exclude, said, hint):
    with pytest.raises(UsageError) as caught:
        select(FLEET, limit, exclude)
    assert said in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.hint
    assert caught.value.exit_code == EXIT_USAGE == 2


@given(limit=st.sets(st.sampled_from(ALL)), exclude=st.sets(st.sampled_from(ALL)))
def test_it_is_set_arithmetic_in_the_fleets_order(limit, exclude):
    expected = [name for name in ALL if name in (limit or set(ALL)) - exclude]
    if expected:
        assert select(FLEET, sorted(limit), sorted(exclude)) == expected
    else:
        with pytest.raises(UsageError):
            select(FLEET, sorted(limit), sorted(exclude))
