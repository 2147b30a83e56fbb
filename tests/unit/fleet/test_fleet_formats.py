"""Single values: what passes and what does not. What is said is in test_fleet_mistakes.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regfleet.fleet.findings import RefusedError
from regfleet.fleet.formats import FORMATS

LONG = "a" * 63
DIGEST = "sha256:" + "0" * 64

PASS_AND_FAIL: list[tuple[str, list[str], list[str]]] = [
    (
        "name",
        ["a", "0", "a-b_c", "a" * 63],
        ["", "A", "-a", "a-", "_a", "a b", "a.b", "a/b", "ä", "a\n", "a" * 64, "\u0661"],
    ),
    ("account", ["root", "a.b", "DOMAIN\\user", "a$"], ["", "-a", "a b", "a:b", "a/b", "a\x1b"]),
    (
        "registry-user",
        ["ci", "a b", "a@b", "ü", "-"],
        ["", "a:b", "a\n", "\x00", " a", "a ", "#a", "a\x85"],
    ),
    (
        "upstream",
        ["https://registry-1.docker.io", "http://a:5000/path"],
        ["", "main", "a.example:5000", "ftp://a.example", "https://u:p@a.example", "https://a/?b"],
    ),
    ("bucket", ["abc", "a.b-c1"], ["", "ab", "A-b", "-abc", "abc-", "a_b", "a" * 64, "abc\n"]),
    ("region", ["eu-central-1", "garage"], ["", "-a", "a b", "a/b", "a\n"]),
    (
        "s3-endpoint",
        ["https://s3.example.com", "http://127.0.0.1:9000/", "https://[::1]:9000"],
        ["", "s3.example.com", "https://a/b", "https://u@a", "ftp://a", "https://a?b"],
    ),
    ("s3-prefix", ["a", "a/b.c"], ["", "/a", "a/", "a//b", "..", "a/../b", "a b", "a\n"]),
    ("password", ["generate"], ["", "Generate", "generate ", "hunter2"]),
    ("variable", ["A", "_a1"], ["", "1A", "A-B", "A=B", "Ä", "A\n"]),
    ("command", ["pass show a", "a\nb"], ["", " \n", "a\x00"]),
    ("path", ["a", "~/a", "/a b"], ["", " ", "a\x00", "a\nb"]),
    (
        "absolute-path",
        ["/a", "/a/b.c", "/a b/"],
        ["", "a", "/", "//", "/a//b", "/a/..", "/./a", "/a:b", "/a,b", '/a"', "/a\\b", "/a\n"],
    ),
    (
        "backup-directory",
        ["/mnt/b", "/srv/b/", "/a b/"],
        [
            "",
            "b",
            "/",
            "/mnt",
            "/tmp/b",
            "/run/b",
            "/home/a/b",
            "nas:/b",
            "a@b:/c",
            "s3://b",
            "/a:b",
        ],
    ),
    ("percent", ["1%", "9%", "100%"], ["", "0%", "101%", "5", "05%", "5 %", "%", "-5%", "5%\n"]),
    (
        "image",
        [
            "registry",
            "registry:2",
            "library/registry:2",
            "a__b/c--d.e:T_1.x-y",
            "localhost/a",
            "localhost:5000/a:b",
            "reg.example.com/a/b@" + DIGEST,
            "reg.example.com:5000/a:1@" + DIGEST,
            "[::1]:5000/a",
        ],
        [
            "",
            "a b",
            "A",
            "a:",
            "a:b:c",
            "a:.b",
            "/a",
            "a/",
            "a//b",
            "a@",
            "a@" + DIGEST[:-1],
            "a@md5:00",
            "reg.example.com/",
            "reg.example.com:99999/a",
            "u:p@reg.example.com/a",
            "https://a/b",
            "a" + ":" + "t" * 129,
            "-a",
            "a._b",
            "ä",
        ],
    ),
    (
        "endpoint",
        [
            "localhost",
            "a.b",
            "a:1",
            "a.b:65535",
            "10.0.0.1",
            "10.0.0.1:443",
            "[::1]",
            "[2001:db8::1]:5000",
            f"{LONG}.a",
        ],
        [
            "",
            ":5000",
            "a",
            "a:0",
            "a:",
            "a:x",
            "a:65536",
            "a:-1",
            "a:\u0665",
            "a.b:1:2",
            "::1",
            "[::1",
            "[::1]x",
            "[::1]:",
            "[fe80::1%0]:1",
            "http://a.b",
            "a.b/c",
            "A.b",
            "a_b.c",
            "a..b",
            "a.b.",
            ".a",
            "-a.b",
            "u@a.b",
            "u:p@a.b",
            "a b.c",
            "256.1.1.1",
            "1.2.3",
            f"{LONG}a.b",
            ".".join([LONG] * 4) + ".b",
            "a.b\n",
        ],
    ),
    (
        "mirror",
        [
            "main",
            "https://m",
            "http://m:80",
            "https://m.example.com/path/",
            "https://[::1]:5000",
            "https://10.0.0.1",
        ],
        [
            "ftp://m",
            "HTTPS://m",
            "://m",
            "https://",
            "https:///a",
            "https://u@m",
            "https://u:p@m",
            "https://@m",
            "https://m?",
            "https://m#",
            "https://m:0",
            "https://m:99999",
            "https://m:",
            "https://[::1",
            "https://::1",
            "https://[::g]",
            "https://a b",
            "https://a\tb",
            "https://-a",
            "https://300.1.1.1",
        ],
    ),
    (
        "address",
        ["a", "A.b", "a_b", "10.0.0.1", "::1", "fe80::1%eth0", "2001:DB8::1"],
        [
            "",
            "a b",
            "a:1",
            "[::1]",
            "::g",
            "a@b",
            "1.2.3",
            "fe80::1%",
            "fe80::1%a b",
            "a.",
            "@local",
        ],
    ),
    (
        "listen",
        ["10.0.0.5:5000", "[::1]:5000", "0.0.0.0:443", "[2001:db8::1]:1"],
        [
            *("", "5000", ":5000", "a:5000", "10.0.0.5", "::1:5000", "[::1]", "10.0.0.5:0"),
            *("10.0.0.5:70000", "10.0.0.5:x", "[fe80::1%eth0]:5000", "300.1.1.1:5000"),
        ],
    ),
    (
        "permitted",
        ["example.com", "test", "10.0.0.0/8", "2001:db8::/32", "192.0.2.1/32"],
        [
            "",
            "*.example.com",
            ".example.com",
            "10.0.0.1",
            "::1",
            "10.0.0.1/8",
            "a/8",
            "10.0.0.0/33",
        ],
    ),
    ("age", ["1h", "30d", "8w"], ["", "30", "0d", "5m", "1.5d", "30d\n", "100000h"]),
    ("at", ["03:00", "Sun 23:59"], ["", "3:00", "24:00", "03:60", "sun 03:00", "03:00\n"]),
    ("interval", ["1m", "12h", "30d"], ["", "5", "0m", "5s", "1h30m", "31d", "5m\n", "721h"]),
    ("deletions", ["1%", "100%"], ["", "0%", "20", "101%"]),
    (
        "repository-pattern",
        ["*", "a/b", "prod/*", "a[a-c]?", "[!a]*"],
        ["", "A*", "a[", "a[]b*", "a b*", "/*\n", "A", "a//b"],
    ),
    ("repository-prefix", ["", "a/", "staging/x/"], ["a", "/", "A/", "a//"]),
    ("tag-pattern", ["*", "v1.2", "V*", "[a-z]?"], ["", "a/*", "v*\n", ".x", "a b", "[x"]),
    (
        "ttl",
        ["0", "36h", "30m", "90s", "1h30m"],
        ["", "7d", "1", "h", "1.5h", "-1h", "30m1h"],
    ),
    (
        "proxy",
        ["http://p:3128", "https://p.lan", "socks5://10.0.0.1:1080", "http://[::1]:3128/"],
        [
            *("", "p:3128", "http://", "ftp://p", "http://u:p@p:1", "http://p/x", "http://p?x"),
            *("http://p:0", "http://p q", "http://p#x"),
        ],
    ),
    (
        "no-proxy",
        ["a", "a.b", ".a.b", "*.a.b", "*", "10.0.0.0/8", "10.0.0.1:5000", "::1", "2001:db8::/32"],
        ["", "a,b", "a b", "http://a", "$a", "'a'", "a;b", "-a"],
    ),
    (
        "mirrored",
        ["*", "docker.io", "quay.io", "registry.k8s.io", "r.lan:5000"],
        [
            "",
            "index.docker.io",
            "registry-1.docker.io",
            "https://quay.io",
            "quay",
            "quay.io/x",
            "**",
        ],
    ),
    (
        "repository",
        ["a", "team-a", "team-a/infra", "a.b/c__d/e-f", "a" * 255],
        ["", "A", "a/", "/a", "a//b", "a/../b", "a b", "a:1", "-a", "a_", "ä", "a\n", "a" * 256],
    ),
    (
        "vip",
        ["10.0.0.10/24", "2001:db8::10/64", "2001:DB8::A/64", "fd00::10/64"],
        [
            "",
            "10.0.0.10",
            "10.0.0.10/32",
            "10.0.0.0/24",
            "10.0.0.255/24",
            "lb/24",
            "1.2.3.4/33",
            "fe80::1/64",
            "2001:db8::10",
            "2001:db8::/64",
            "2001:db8::10%eth0/64",
            "10.0.0.10/255.255.255.0",
            "10.0.0.10/0.0.0.255",
            "10.0.0.10/024",
            "10.0.0.10/0",
            "::10/0",
            "127.0.0.5/8",
            "224.0.0.5/4",
            "ff02::5/64",
            "::1/64",
        ],
    ),
    ("secret", [], ["", "generate", "hunter2"]),
    ("memory", ["512m", "2g", "1K"], ["", "512", "0m", "-1m", "1.5g", "1t", "1g ", "\uff11g"]),
    ("host", ["a", "@local", "a[1:2]", "::1"], ["", "@", "@ssh/a", "a;b", "a\n", "$(a)"]),
    (
        "tls-name",
        ["a", "a.b", "*.a.b", "10.0.0.1", "::1"],
        ["", "*", "*.", "*.*.a", "a.*.b", "fe80::1%0", "a b", "a:1", "[::1]"],
    ),
]


def test_every_format_is_here() -> None:
    assert {name for name, _, _ in PASS_AND_FAIL} == set(FORMATS)


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, good, _ in PASS_AND_FAIL for text in good]
)
def test_passes(name: str, text: str) -> None:
    FORMATS[name](text)


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, _, bad in PASS_AND_FAIL for text in bad]
)
def test_is_refused(name: str, text: str) -> None:
    with pytest.raises(RefusedError):
        FORMATS[name](text)


@pytest.mark.parametrize("name", sorted(FORMATS))
@given(text=st.text() | st.text(alphabet="a0.:/@[]%?#-_*~ ", max_size=12))
def test_any_text_passes_or_is_refused_with_few_words(name: str, text: str) -> None:
    said = ["passes"]
    try:
        FORMATS[name](text)
    except RefusedError as refused:
        said = [refused.message, refused.hint]
    assert said[0]
    assert not any("\n" in words for words in said)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("password", "hunter2"),
        ("variable", "hunter2!"),
        ("endpoint", "u:hunter2@a.b"),
        ("endpoint", "https://u:hunter2@a.b"),
        ("mirror", "https://u:hunter2@m"),
        ("mirror", "https://u:hunter2@m\n"),
        ("image", "u:hunter2@a.b/c"),
        ("host", "u:hunter2@a"),
        ("host", "u:hunter2@a[1:2]"),
        ("host", "u:hunter2@a[1-2]"),
        ("address", "u:hunter2@a"),
    ],
)
def test_what_may_hold_a_password_is_not_shown(name: str, text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        FORMATS[name](text)
    assert "hunter2" not in caught.value.message + caught.value.hint
