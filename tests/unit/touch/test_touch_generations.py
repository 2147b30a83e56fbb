"""What a host keeps: listed by its own shell, and what going back over it does."""

import pytest
import shells

from regfleet.errors import HostError
from regfleet.model.resource import from_note
from regfleet.touch import render
from regfleet.touch.generations import Generation, comes_back, parse

EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())


def listing(shell, base):
    program = render.render_generations("run-1-1")
    assert "\nbase=/var/lib/regfleet\n" in program
    program = program.replace("\nbase=/var/lib/regfleet\n", f"\nbase={base}\n")
    return parse("web1", shells.lines(shell, program), "run-1-1")


@EVERY_SHELL
def test_generations_with_notes_and_without(shell, tmp_path):
    texts = {
        "2/fleet": "acme\n",
        "2/run": "12\nrun-ab\n2026-01-31T12:00:00Z\nops@control: regfleet, fleet acme\n",
        "2/changes": "create file /etc/a b\nupdate user bob\nodd\n",
        "2/present": "/etc/docker/daemon.json\n/var/lib/regfleet/owned.json\n",
        "2/absent": "/etc/new",
        "2/containers": "regfleet-main\n",
        "10/fleet": "other\n",
        "10/present": "",
        "11/fleet": "acme\n",
        "11/unfinished": "",
        "spent/fleet": "acme\n",
    }
    for name, text in texts.items():
        path = tmp_path / "generations" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "pending").write_text("10\n")
    found = listing(shell, tmp_path)
    assert found.pending == 10
    old, new = found.kept
    assert (old.number, old.fleet, old.run, old.id, old.changes) == (10, "other", 0, "", ())
    assert old.when.startswith("20")
    assert new == Generation(
        2, "acme", "2026-01-31T12:00:00Z", 12, "run-ab", "ops@control: regfleet, fleet acme",
        resources((("create", "file /etc/a b"), ("update", "user bob"))),
        ("/etc/docker/daemon.json",), ("/etc/new",), ("regfleet-main",),
    )  # fmt: skip


@EVERY_SHELL
def test_a_host_without_any(shell, tmp_path):
    assert listing(shell, tmp_path / "none").kept == ()


def test_a_list_that_was_cut_off_is_no_list():
    with pytest.raises(HostError, match="could not be read"):
        parse("web1", ["@begin run-1-1", "@generation 3"], "run-1-1")


def noted(*changes):
    return Generation(1, changes=resources(changes))


def resources(pairs):
    return tuple((word, from_note(note)) for word, note in pairs)


@pytest.mark.parametrize(
    ("generations", "expected"),
    [
        ([], ()),
        ([noted(("create", "file /x"), ("delete", "user bob"), ("update", "daemon.json debug"))],
         (("-", "file /x"), ("+", "user bob"), ("~", "daemon.json debug"))),
        # What cannot be brought back is said.
        ([noted(("create", "package docker.io"), ("delete", "data /srv"), ("delete", "image a"))],
         (("=", "package docker.io"), ("=", "data /srv"), ("=", "image a"))),
        ([noted(("run", "service docker"))], ()),
        # The oldest decides.
        ([noted(("update", "file /x")), noted(("create", "file /x"))], (("-", "file /x"),)),
        # Of before there were notes.
        ([Generation(1, present=("/a",), absent=("/b",), services=("c",))],
         (("~", "file /a"), ("-", "file /b"), ("~", "container c"))),
    ],
)  # fmt: skip
def test_what_comes_back(generations, expected):
    assert comes_back(generations) == resources(expected)
