"""`regfleet who`: what it says is what the rule in `roles` gives, for people and as JSON."""

import json
from pathlib import Path

import pytest

from regfleet.cli.who import who as command
from regfleet.errors import UsageError
from regfleet.fleet.load import load
from regfleet.report import who_json
from regfleet.report.who import Subject, parse_subject, unlikely, who

DOCS = Path(__file__).resolve().parents[3] / "docs"
HOW_TO = (DOCS / "how-to" / "roles.md").read_text("utf-8")
FLEET = """version = 1
name = "acme"
[registry.main]
hosts = ["reg1.example.com"]
endpoint = "registry.example.com:5000"
admins = ["root"]
users.root.password = "generate"
users.alice.password = "generate"
users.bob.password = "generate"
users.carol.password = "generate"
[registry.main.projects.team-a]
members = { alice = "developer", bob = "guest", carol = "admin" }
[registry.main.projects."team-a/infra"]
members = { carol = "developer" }
[registry.main.projects.open]
public = true
members.alice = "developer"
[registry.plain]
hosts = ["reg2.example.com"]
users.ci.password = "generate"
delete = false
[registry.cache]
hosts = ["reg3.example.com"]
proxy = "https://docker.io"
[registry.hub]
external = true
endpoint = "hub.example.com"
users.bob.password.env = "HUB"
[client.build]
hosts = ["web1"]
registries = ["main", "hub"]
login = { main = "bob", hub = "bob" }
"""
EVERYTHING = """\
main  registry.example.com:5000
  may do everything, and list all repositories: root
  project       anybody  guests  developers  admins
  open          pull     -       alice       -
  team-a        -        bob     alice       carol
  team-a/infra  -        -       carol       -
  logins that machines keep: bob on build
plain  reg2.example.com:5000
  every user may pull and push in every repository: ci
cache  reg3.example.com:5000
  anybody may pull in every repository: it has no users
hub  hub.example.com
  decides itself: regfleet does not run it; declared users: bob
  logins that machines keep: bob on build
"""
ALICE = """\
main  registry.example.com:5000: alice
  project  may         as
  open     pull, push  developer
  team-a   pull, push  developer
"""
BOB = """\
main  registry.example.com:5000: bob
  project  may   as
  open     pull  anybody
  team-a   pull  guest
  logins that machines keep: bob on build
hub  hub.example.com: bob
  decides itself: regfleet does not run it; declared users: bob
  logins that machines keep: bob on build
"""
ROOT = """\
main  registry.example.com:5000: root
  everything in every repository, and list them all: admin of the registry
"""
APP = """\
main  registry.example.com:5000: team-a/app, of the project team-a
  user   may                 as
  root   pull, push, delete  admin of the registry
  carol  pull, push, delete  admin
  alice  pull, push          developer
  bob    pull                guest
  without a login, and every other user: nothing
  logins that machines keep: bob on build
"""
OPEN = """\
main  registry.example.com:5000: open, of the project open
  user   may                 as
  root   pull, push, delete  admin of the registry
  alice  pull, push          developer
  without a login, and every other user: pull
  logins that machines keep: bob on build
"""
NONE = """\
main  registry.example.com:5000: alcie, of no project
  user  may                 as
  root  pull, push, delete  admin of the registry
  without a login, and every other user: nothing
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "fleet.toml"
    path.write_text(FLEET)
    return path


@pytest.mark.parametrize(
    ("what", "printed"),
    [
        ("", EVERYTHING),
        ("alice", ALICE),
        ("bob", BOB),
        ("root", ROOT),
        ("main/team-a/app", APP),
        ("registry.example.com:5000/team-a/app", APP),
        ("main/open", OPEN),
        ("main/alcie", NONE),
    ],
)
def test_what_people_read(file, what, printed, capsys):
    assert command(file=file, what=what, as_json=False) == 0
    assert capsys.readouterr().out == printed


def test_a_repository_is_asked_about_in_every_registry(file, capsys):
    command(file=file, what="team-a/app", as_json=False)
    said = capsys.readouterr().out
    assert said.startswith(APP.rstrip("\n"))
    assert "plain  reg2.example.com:5000: team-a/app\n" in said
    assert "hint" not in said


def test_a_word_that_may_be_a_mistyped_user_is_said_so(file, capsys):
    command(file=file, what="alcie", as_json=False)
    assert capsys.readouterr().out.endswith("hint: did you mean alice?\n")
    fleet = load(file)
    assert unlikely(fleet, Subject(repository="team-a/alcie")) == ""


@pytest.mark.parametrize("word", ["Alice", "x/../y", "a b", "team-a/", "*", "a:1"])
def test_what_is_neither_user_nor_repository_is_refused(file, word):
    with pytest.raises(UsageError, match="neither a declared user nor the path") as refused:
        parse_subject(load(file), word)
    assert refused.value.hint in ("did you mean alice?", "users are alice, bob, carol, ci, root")


def test_a_user_wins_over_a_repository_of_that_name(file):
    fleet = load(file)
    assert parse_subject(fleet, "alice") == Subject(user="alice")
    assert parse_subject(fleet, "main/alice") == Subject(repository="alice", registry="main")
    assert parse_subject(fleet, "main") == Subject(repository="main")


def test_without_admins_nobody_may_list_and_deletion_may_be_off(tmp_path, capsys):
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET.replace('admins = ["root"]', "delete = false"))
    command(file=file, what="", as_json=False)
    said = capsys.readouterr().out
    assert "  may do everything, and list all repositories: nobody\n" in said
    assert "  deletion is off in this registry\n" in said
    command(file=file, what="main/team-a", as_json=False)
    assert "  carol  pull, push  admin\n" in capsys.readouterr().out
    command(file=file, what="root", as_json=False)
    assert "  open     pull  anybody\n" in capsys.readouterr().out


def test_a_user_without_any_role_may_do_nothing(tmp_path, capsys):
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET.replace("public = true", "public = false").replace('"root"', '"carol"'))
    command(file=file, what="root", as_json=False)
    assert capsys.readouterr().out == "main  registry.example.com:5000: root\n  nothing\n"


@pytest.fixture
def documented(tmp_path):
    path = tmp_path / "documented.toml"
    path.write_text(HOW_TO.split("```toml\n")[1].split("```")[0])
    return path


def test_the_how_to_shows_what_is_printed(documented, capsys):
    command(file=documented, what="main/team-a/app", as_json=False)
    assert f"```text\n{capsys.readouterr().out}```" in HOW_TO


def test_the_document_of_a_user_and_the_page(documented, capsys):
    command(file=documented, what="alice", as_json=True)
    document = capsys.readouterr().out.rstrip("\n")
    assert f"```json\n{document}\n```" in (DOCS / "json.md").read_text("utf-8")
    assert json.loads(document)["registries"]["main"]["list_repositories"] == []


def test_the_document_says_the_same_of_everything(file):
    fleet = load(file)
    found = json.loads(who_json.document("acme", Subject(), who(fleet, Subject())))
    assert (found["user"], found["repository"]) == (None, None)
    main, plain, cache, hub = (found["registries"][n] for n in ("main", "plain", "cache", "hub"))
    assert [each["decided_by"] for each in (main, plain, cache, hub)] == [
        "projects",
        "users",
        "nobody",
        "itself",
    ]
    assert main["list_repositories"] == ["root"]
    everything = {"may": ["pull", "push", "delete"], "as": "registry-admin"}
    by_name = {each["repository"]: each for each in main["repositories"]}
    assert by_name[None]["users"] == {"root": everything}
    assert by_name["team-a/infra"]["users"] == {
        "root": everything,
        "carol": {"may": ["pull", "push"], "as": "developer"},
    }
    assert by_name["open"]["anybody"] == ["pull"]
    assert by_name["open"]["users"]["bob"] == {"may": ["pull"], "as": "anybody"}
    (row,) = plain["repositories"]
    assert row["users"] == {"ci": {"may": ["pull", "push"], "as": "user"}}
    assert hub == {
        "endpoint": "hub.example.com",
        "decided_by": "itself",
        "users": ["bob"],
        "list_repositories": [],
        "repositories": [],
        "clients": {"bob": ["build"]},
    }
