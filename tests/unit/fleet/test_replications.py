"""Policies of replication: mistakes, each alone, and what is allowed."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regfleet.errors import Mistake
from regfleet.fleet import patterns
from regfleet.fleet.model import Fleet
from regfleet.fleet.policies import Promotion, Replication, Stage

HEAD = 'version = 1\nname = "acme"\n'
MAIN = '[registry.main]\nhosts = ["reg1.example.com"]\n'
HUB = '[registry.hub]\nexternal = true\nendpoint = "hub.example.com"\n'
CACHE = '[registry.hub]\nhosts = ["reg3"]\nendpoint = "hub.lan:5000"\n'
TWO = MAIN + '[registry.north]\nhosts = ["reg2.example.com"]\ndelete = true\n'
POLICY = '[replication.r]\nfrom = "main"\n'
REPLICATE = POLICY + 'to = ["north"]\n'
BACK = '[replication.b]\nfrom = "north"\nto = ["main"]\n'
COPY = "replication.r"

# Text, path, and parts of message and hint.
MISTAKES = [
    (HEAD + TWO + REPLICATE, "", None),
    (HEAD + TWO + '[replication.r]\nto = ["north"]\n', "replication.r.from", "is missing"),
    (HEAD + TWO + POLICY + "to = []\n", "replication.r.to", "must not be empty"),
    (HEAD + TWO + POLICY + 'to = ["nort"]\n', f"{COPY}.to[0]", "did you mean north?"),
    (HEAD + TWO + POLICY + 'to = ["main"]\n', f"{COPY}.to[0]", "the images come from"),
    (HEAD + TWO + POLICY + 'to = ["north", "north"]\n', f"{COPY}.to[1]", "is the same as"),
    (HEAD + TWO + REPLICATE + 'every = "5 m"\n', f"{COPY}.every", "not an interval ... 5m"),
    (HEAD + TWO + REPLICATE + 'every = "31d"\n', f"{COPY}.every", "up to 30d"),
    (
        HEAD + TWO + REPLICATE + 'every = "1h"\nrun_on = "controller"\n',
        f"{COPY}.every",
        "regfleet runs only when it is called ... regfleet replicate FILE r",
    ),
    (
        HEAD + TWO + REPLICATE + 'repositories = ["Prod/*"]\n',
        f"{COPY}.repositories[0]",
        "no repository can match ... as in prod/*",
    ),
    (
        HEAD + TWO + REPLICATE + 'repositories = ["a[b"]\n',
        f"{COPY}.repositories[0]",
        "no repository can match",
    ),
    (HEAD + TWO + REPLICATE + 'tags = ["a/b"]\n', f"{COPY}.tags[0]", "cannot be a tag"),
    (HEAD + TWO + REPLICATE + 'tags = ["a/*"]\n', f"{COPY}.tags[0]", "no tag can match"),
    (HEAD + TWO + REPLICATE + 'max_delete = "2x"\n', f"{COPY}.max_delete", "is no limit"),
    (HEAD + TWO + REPLICATE + "max_delete = 5\n", f"{COPY}.max_delete", "has no effect"),
    (
        HEAD + TWO.replace("delete = true", "delete = false") + REPLICATE + "delete = true\n",
        f"{COPY}.delete",
        "registry north forbids deletion",
    ),
    (
        HEAD + TWO + CACHE + 'proxy = "https://a.example"\n' + POLICY + 'to = ["hub"]\n',
        f"{COPY}.to[0]",
        "takes no pushes",
    ),
    (HEAD + TWO + HUB + POLICY + 'to = ["hub"]\n', "", None),
    *(
        (HEAD + TWO + HUB + POLICY + f'to = ["hub", "north"]\nhttp_proxy = {{ {by} }}\n', at, words)
        for by, at, words in (
            ('https = "http://p:1"', "", None),
            ('https = "http://p:1", no_proxy = ["a"], user = "u", password.env = "P"', "", None),
            ('no_proxy = ["a"]', f"{COPY}.http_proxy", "names no proxy"),
            ('https = "http://p:1", user = "u"', f"{COPY}.http_proxy.password", "is missing"),
            ('https = "https://p:1"', f"{COPY}.http_proxy.https", "is reached by http://"),
            ('https = "socks5://p:1"', f"{COPY}.http_proxy.https", "is reached by http://"),
            ('https = "http://p:99999"', f"{COPY}.http_proxy.https", "has the port 99999"),
            (
                'https = "http://"',
                f"{COPY}.http_proxy.https",
                "no valid host ... as in http://proxy",
            ),
            ('http = "http://p:1"', f"{COPY}.http_proxy", "and https is not set"),
            (
                'https = "http://p:1", user = "u", password.file = "~nobody-of-this-name/p"',
                f"{COPY}.http_proxy.password.file",
                "~nobody-of-this-name",
            ),
        )
    ),
    (
        HEAD + TWO + REPLICATE + 'http_proxy = { https = "http://p:1" }\n',
        f"{COPY}.http_proxy",
        "the fleet's own registries are reached directly",
    ),
    (
        HEAD + TWO + HUB + POLICY + 'to = ["hub"]\nevery = "1d"\n',
        f"{COPY}.every",
        'hub is external ... run_on = "source"',
    ),
    (
        HEAD + TWO + REPLICATE + 'login = { nort = "ci" }\n',
        f"{COPY}.login.nort",
        "takes no part ... did you mean north?",
    ),
    (
        HEAD + TWO + REPLICATE + 'login = { north = "ci" }\n',
        f"{COPY}.login.north",
        'has no user "ci" ... it has no users',
    ),
    (
        HEAD + TWO + '[registry.main.users]\nci.password = "generate"\n' + REPLICATE,
        f"{COPY}.login",
        'no login for it ... login.main = "ci"',
    ),
    (
        HEAD + TWO + REPLICATE + BACK,
        "replication.b.to[0]",
        "go round for ever: main -> north -> main",
    ),
    (
        HEAD + TWO + REPLICATE + 'conflict = "keep"\n' + BACK + 'conflict = "overwrite"\n',
        "",
        None,
    ),
    (
        HEAD + TWO + REPLICATE + 'repositories = ["hq/*"]\n' + BACK + 'repositories = ["n/*"]\n',
        "",
        None,
    ),
    (
        HEAD + TWO + REPLICATE + 'repositories = ["prod/*"]\n'
        '[replication.z]\nfrom = "main"\nto = ["north"]\nrepositories = ["*/web"]\n',
        "replication.z.to[0]",
        "the same repositories by replication.r ... write exclude",
    ),
    (
        HEAD + TWO + REPLICATE + 'repositories = ["prod/*"]\n'
        '[replication.z]\nfrom = "main"\nto = ["north"]\nexclude = ["prod/*"]\n',
        "",
        None,
    ),
    (
        HEAD + TWO + '[registry.city]\nhosts = ["reg3"]\n' + REPLICATE + 'conflict = "keep"\n'
        '[replication.c]\nfrom = "north"\nto = ["city"]\nconflict = "keep"\n'
        '[replication.d]\nfrom = "city"\nto = ["main"]\nconflict = "keep"\n',
        "replication.d.to[0]",
        "main -> north -> city -> main",
    ),
]
ALLOWED = [text for text, _, words in MISTAKES if words is None]
MISTAKES = [each for each in MISTAKES if each[2] is not None]


@pytest.mark.parametrize(
    ("text", "path", "words"), MISTAKES, ids=[f"{m[1]}: {m[2]}"[:70] for m in MISTAKES]
)
def test_one_mistake_in_a_policy(
    mistakes_of: Callable[[str], tuple[Mistake, ...]], text: str, path: str, words: str
) -> None:
    (mistake,) = mistakes_of(text)
    assert mistake.path == path
    said = f"{mistake.message} {mistake.hint}"
    assert not [part for part in words.split(" ... ") if part not in said], said
    assert mistake.hint
    assert mistake.line


@pytest.mark.parametrize("text", ALLOWED)
def test_policies_that_may_be(fleet_of: Callable[[str], Fleet], text: str) -> None:
    assert fleet_of(text).replications


def test_a_whole_policy(fleet_of: Callable[[str], Fleet]) -> None:
    text = (
        HEAD + MAIN + 'users = { r = { password = "generate" } }\n' + TWO.removeprefix(MAIN)
        + POLICY
        + 'to = ["north"]\nrepositories = ["prod/*"]\nexclude = ["prod/x"]\ntags = ["v*"]\n'
        'every = "2h"\ndelete = true\nmax_delete = 7\nconflict = "keep"\nparallel = 3\n'
        'run_on = "source"\nlogin = { main = "r" }\n'
    )  # fmt: skip
    assert fleet_of(text).replications == {
        "r": Replication(
            "r", "main", ("north",), ("prod/*",), ("prod/x",), ("v*",), 7200,
            delete=True, max_delete=7, conflict="keep", parallel=3, run_on="source",
            logins={"main": "r"},
        )
    }  # fmt: skip


STAGE = '[promotion.p]\nfrom = { registry = "main", prefix = "a/" }\n'


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ('to = { registry = "mian" }\n', "promotion.p.to.registry", "did you mean main?"),
        ('to = { registry = "main", prefix = "a/" }\n', "promotion.p.to", "another prefix"),
        ('to = { registry = "main", prefix = "b" }\n', "promotion.p.to.prefix", "no slash"),
        ('to = { registry = "main", prefix = "B/" }\n', "promotion.p.to.prefix", "repository"),
        ('to = { prefix = "b/" }\n', "promotion.p.to.registry", "is missing"),
        ('to = { registry = "north" }\nlogin = { north = "x" }\n', "promotion.p.login.north",
         'no user "x"'),
        ('to = { registry = "north" }\nmin_age = "1w"\n', "promotion.p.min_age", "interval"),
        ('to = { registry = "north" }\nchecks = [" "]\n', "promotion.p.checks[0]", "command"),
        ('to = { registry = "north" }\nkeep_previous = 21\n', "promotion.p.keep_previous", "20"),
    ],
)  # fmt: skip
def test_one_mistake_in_a_promotion(
    mistakes_of: Callable[[str], tuple[Mistake, ...]], text: str, path: str, words: str
) -> None:
    (mistake,) = mistakes_of(HEAD + TWO + STAGE + text)
    assert mistake.path == path
    assert words in f"{mistake.message} {mistake.hint}"


def test_a_whole_promotion(fleet_of: Callable[[str], Fleet]) -> None:
    more = 'to = { registry = "north" }\nmin_age = "24h"\nchecks = ["true"]\napprove = ["ops"]\n'
    assert fleet_of(HEAD + TWO + STAGE + more).promotions == {
        "p": Promotion("p", Stage("main", "a/"), Stage("north"), 86400, ("true",), ("ops",))
    }


PIECES = st.lists(st.sampled_from(["a", "b", "/", "*", "?", "[ab]"]), max_size=6).map("".join)


@given(PIECES, PIECES, st.text("ab/", max_size=6))
def test_patterns_that_match_one_name_meet(one: str, two: str, name: str) -> None:
    if fnmatch.fnmatchcase(name, one) and fnmatch.fnmatchcase(name, two):
        assert patterns.meet([one], [two])


@given(PIECES, PIECES, st.text("ab/", max_size=6))
def test_what_is_covered_matches(one: str, two: str, name: str) -> None:
    if patterns.covers(one, two) and fnmatch.fnmatchcase(name, two):
        assert fnmatch.fnmatchcase(name, one)


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [("prod/*", "dev/*", False), ("prod/*", "*/web", True), ("a?c", "abc", True),
     ("a?c", "abcd", False), ("*", "x", True), ("*a", "*b", False)],
)  # fmt: skip
def test_patterns_that_meet_or_not(one: str, two: str, expected: bool) -> None:
    assert patterns.meet([one], [two]) is expected
