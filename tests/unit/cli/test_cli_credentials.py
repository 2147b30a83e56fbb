"""`regfleet credentials`, and the formats that it writes."""

import json
import shlex
import stat
import subprocess

import pytest

from regfleet.cli.credentials import credentials
from regfleet.errors import RegfleetError, UsageError
from regfleet.registry_api.target import Credentials
from regfleet.report.credentials import FORMATS
from regfleet.secret import Secret
from regfleet.state import StateDirectory

ENDPOINT = "registry.example.com:5000"
AWKWARD = "a b\"c\\d'e$f#g"
FLEET = f"""version = 1
name = "acme"
[registry.main]
hosts = ["reg1.example.com"]
endpoint = "{ENDPOINT}"
[registry.main.users]
ci = {{ password = "generate" }}
ops = {{ password = {{ env = "OPS_PASSWORD" }} }}
[registry.open]
hosts = ["reg1.example.com"]
endpoint = "reg1.example.com:5001"
storage = "/var/lib/registry-open"
"""


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.setenv("OPS_PASSWORD", AWKWARD)
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET)

    def run(registry="main", **given):
        usual = {"user": None, "format": "env", "output": None, "show": False, "state_dir": None}
        return credentials(file=file, registry=registry, **{**usual, **given})

    return run


def kept(tmp_path):
    state = StateDirectory(tmp_path / ".regfleet" / "acme")
    state.write_text("passwords/main/ci", "generated\n")


def test_a_shell_reads_what_env_writes(call, tmp_path):
    path = tmp_path / "login.env"
    assert call(user="ops", output=path) == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    script = f'. {shlex.quote(str(path))}; printf %s "$REGISTRY|$REGISTRY_USER|$REGISTRY_PASSWORD"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{ENDPOINT}|ops|{AWKWARD}"


def test_a_generated_password_is_shown(call, tmp_path, capsys):
    kept(tmp_path)
    assert call(user="ci", show=True, format="dockerconfigjson") == 0
    entry = json.loads(capsys.readouterr().out)["auths"][ENDPOINT]
    assert entry == {"username": "ci", "password": "generated", "auth": "Y2k6Z2VuZXJhdGVk"}


def test_a_password_that_is_not_there_is_not_made(call, tmp_path):
    with pytest.raises(RegfleetError, match="is not in the state directory"):
        call(user="ci", show=True)
    assert not (tmp_path / ".regfleet" / "acme" / "passwords").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"user": "ops"}, "say where it goes"),
        ({"user": "ops", "show": True, "output": "x"}, "say where it goes"),
        ({"show": True}, "has several users: ci, ops"),
        ({"show": True, "user": "opps"}, "has no user opps"),
        ({"show": True, "registry": "mian"}, "there is no registry mian"),
        ({"show": True, "registry": "open"}, "has no users"),
        ({"show": True, "registry": ""}, "name one of the fleet"),
    ],
)
def test_what_is_refused(call, tmp_path, given, said):
    if given.get("output"):
        given = {**given, "output": tmp_path / given["output"]}
    with pytest.raises(UsageError, match=said):
        call(**given)
    assert not (tmp_path / "x").exists()


def test_a_file_is_replaced_whatever_its_mode_was(call, tmp_path):
    path, other = tmp_path / "login", tmp_path / "other"
    other.write_text("kept")
    path.symlink_to(other)
    assert call(user="ops", output=path) == 0
    assert other.read_text() == "kept"
    assert not path.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_terminal_gets_no_control_characters(call, monkeypatch):
    monkeypatch.setenv("OPS_PASSWORD", "a\x1b[2Jb")
    with pytest.raises(UsageError, match="act on a terminal"):
        call(user="ops", show=True, format="netrc")


@pytest.mark.parametrize(
    ("endpoint", "password", "line"),
    [
        (ENDPOINT, "plain", "machine registry.example.com login ci password plain\n"),
        ("registry.example.com", "x", "machine registry.example.com login ci password x\n"),
        ("[2001:db8::1]:5000", "x", "machine 2001:db8::1 login ci password x\n"),
        ("r:1", 'a "b\\', 'machine r login ci password "a \\"b\\\\"\n'),
    ],
)
def test_a_netrc_line(endpoint, password, line):
    assert FORMATS["netrc"](endpoint, Credentials("ci", Secret(password))) == line
