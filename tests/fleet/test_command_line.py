"""The command line as people and scripts meet it: exit codes, questions, JSON alone on stdout."""

import base64
import json
import xml.etree.ElementTree as ET

import pytest

from regfleet.state import StateDirectory

BODY = """
[registry.main]
external = true
endpoint = "elsewhere.example:5000"
tls = { source = "none" }

[client.all]
hosts = [$one]
registries = ["main"]
"""
OWN = (
    BODY.replace('["main"]', '["own"]\nlogin = { own = "ci" }')
    + """
[registry.own]
hosts = [$one]
endpoint = "one:5000"
image_archive = "$registry_tar"
users.ci = { password = { env = "CANARY" } }
users.robot = { password = "generate" }
"""
)


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("one")


@pytest.fixture
def fleet(twin, write_fleet):
    return write_fleet(twin, BODY)


@pytest.mark.parametrize("command", ["plan", "apply", "smoke", "destroy", "validate"])
def test_a_wrong_file_is_exit_code_2_and_nothing_is_contacted(command, regfleet, tmp_path):
    path = tmp_path / "fleet.toml"
    path.write_text("version = 1\nname = 5\n[client.a]\nhosts = []\nengin = 'docker'\n")
    done = regfleet(command, path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "engin" in done.stderr
    assert "line 5" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("apply", "x", "y"),
        ("aply", "x"),
        ("apply", "no-such-file"),
        ("plan", "x", "--no-such-option"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(arguments, regfleet):
    done = regfleet(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_validate_contacts_nothing_and_says_it_in_json(regfleet, fleet):
    done = regfleet("validate", fleet, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["ok"] is True


def test_init_writes_a_file_that_validates_and_never_overwrites(regfleet, tmp_path):
    path = tmp_path / "new.toml"
    assert regfleet("init", path).returncode == 0
    assert regfleet("validate", path).returncode == 0
    before = path.read_text()
    again = regfleet("init", path)
    assert again.returncode == 2
    assert "already exists" in again.stderr
    assert path.read_text() == before


def test_apply_asks_and_takes_no_for_an_answer(twin, regfleet, write_fleet):
    fleet = write_fleet(twin, OWN)
    done = regfleet("apply", fleet, CANARY="x")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    kept = {path.name for path in (fleet.parent / ".regfleet").rglob("*") if path.is_file()}
    assert kept <= {".gitignore", "lock"}
    assert twin.hosts["one"].run("ls /etc/docker/daemon.json").returncode != 0


@pytest.mark.parametrize("checking", ["accept-new", "off"])
def test_host_keys_that_are_not_checked_strictly_are_warned_of(regfleet, fleet, checking):
    strict = regfleet("plan", fleet)
    assert "host_key_checking" not in strict.stderr
    fleet.write_text(fleet.read_text().replace("[ssh]", f'[ssh]\nhost_key_checking = "{checking}"'))
    loose = regfleet("plan", fleet)
    assert loose.returncode == 0
    assert f'warning: host_key_checking = "{checking}" for 1 of 1 host' in loose.stderr


@pytest.mark.parametrize(("limit", "words"), [("oen", "did you mean one"), ("web*", "groups are")])
def test_a_limit_that_names_nobody(regfleet, fleet, limit, words):
    done = regfleet("plan", fleet, "--limit", limit)
    assert done.returncode == 2
    assert words in done.stderr


def test_json_is_alone_on_standard_output(regfleet, fleet, tmp_path):
    planned = regfleet("plan", fleet, "--json", "--detailed-exitcode")
    assert planned.returncode == 3
    assert json.loads(planned.stdout)["hosts"]["one"]["activation"] == "reload"
    applied = regfleet("apply", fleet, "--json", "--yes", "--junit", tmp_path / "junit.xml")
    assert applied.returncode == 0, applied.stderr
    document = json.loads(applied.stdout)
    assert document["hosts"]["one"]["smoke"] == {"main/push": "skipped"}
    assert "Plan: 1 change on 1 of 1 host" in applied.stderr
    root = ET.parse(tmp_path / "junit.xml").getroot()  # noqa: S314 - our own file
    suite = root.find("testsuite")
    assert suite.attrib["name"] == "one"
    assert suite.attrib["skipped"] == "1"
    nothing = regfleet("plan", fleet, "--json", "--detailed-exitcode")
    assert nothing.returncode == 0


def test_nothing_but_an_approved_plan_is_applied_and_without_a_question(regfleet, fleet, tmp_path):
    fleet.write_text(fleet.read_text() + 'daemon = { "max-concurrent-uploads" = 4 }\n')
    planned = regfleet("plan", fleet, "--json", "--diff", "--detailed-exitcode")
    approved = tmp_path / "plan.json"
    approved.write_text(planned.stdout)
    declared = fleet.read_text()
    fleet.write_text(declared.replace("= 4 }", '= 4, "debug" = true }'))
    refused = regfleet("apply", fleet, "--approved", approved)
    assert refused.returncode == 1
    assert "one: daemon.json debug (create)" in refused.stderr
    assert regfleet("plan", fleet, "--detailed-exitcode").returncode == 3
    fleet.write_text(declared)
    applied = regfleet("apply", fleet, "--approved", approved)
    assert applied.returncode == 0, applied.stderr
    assert regfleet("plan", fleet, "--detailed-exitcode").returncode == 0
    lost = regfleet("apply", fleet, "--approved", tmp_path / "none.json")
    assert lost.returncode == 2


def test_a_second_run_is_refused_by_name_of_the_first(regfleet, fleet):
    with StateDirectory.beside(fleet, "test").lock("apply"):
        done = regfleet("apply", fleet, "--yes")
    assert done.returncode == 1
    assert "apply" in done.stderr
    assert "process" in done.stderr


def test_verbose_shows_no_secret(twin, write_fleet, regfleet):
    fleet = write_fleet(twin, OWN)  # in a directory of its own: without the state of those before
    done = regfleet(
        "apply",
        fleet,
        "--yes",
        "--new-identity",
        "-vv",
        "--diff",
        "--no-smoke",
        CANARY="c4n4ry-secret",
    )
    assert done.returncode == 0, done.stderr
    assert "DEBUG" in done.stderr
    assert "c4n4ry-secret" not in done.stdout + done.stderr
    journal = twin.hosts["one"].read("journalctl -o cat --no-pager; cat /var/log/*.log")
    assert "c4n4ry-secret" not in journal
    encoded = base64.b64encode(b"ci:c4n4ry-secret").decode()
    assert encoded not in done.stdout + done.stderr + journal
