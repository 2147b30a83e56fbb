"""Registries that mean harm: each is its own error, and nobody waits or pays for it.

All of them are in one fleet, beside one that is well, and asked by the real command line.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_registry import BEHAVIOURS, HostileRegistry

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "c0rrect-horse"
SECONDS = "0.6"  # a request, 30 otherwise
LONGEST = 300  # seconds until a command counts as hanging
MEMORY = 500_000  # kB; the command alone takes a quarter
SAID = 400  # characters of a registry's error; hints included

# By command, what does no harm there: nothing is to be said of it.
UNHARMED = {
    "status": {"well", "page-elsewhere", "huge-size", "token-elsewhere", "deep-configuration"},
    "images": {"well", "page-elsewhere", "huge-size", "deep-configuration"},
}
# At its first answer each of these shows what it is, and not by mere silence.
AT_ONCE = ("endless-header", "endless-headers", "not-http", "status-of-digits", "deep-json-at-once")

FLEET = 'version = 1\nname = "hostile"\n'
REGISTRY = """
[registry.{name}]
external = true
endpoint = "127.0.0.1:{port}"
tls = {{ source = "none" }}
allow_plaintext_passwords = true
[registry.{name}.users]
ci = {{ password = {{ env = "CI_PASSWORD" }} }}
"""
CLIENT = """
[ssh]
user = "root"
port = 1
[client.all]
hosts = [{{ name = "away", address = "127.0.0.1" }}]
registries = [{names}]
login = {{ {logins} }}
"""


@pytest.fixture(scope="module")
def hostile():
    """One registry of each behaviour, and one that others send us to."""
    other = HostileRegistry("well")
    servers = {name: HostileRegistry(name, f"127.0.0.1:{other.port}") for name in BEHAVIOURS}
    yield servers, other
    for server in (*servers.values(), other):
        server.close()


@pytest.fixture(scope="module")
def asked(hostile, tmp_path_factory):
    """`asked("status")`: exit code, the document of `--json`, standard error, most memory in kB."""
    servers, _ = hostile
    place = tmp_path_factory.mktemp("hostile")
    registries = "".join(
        REGISTRY.format(name=name, port=each.port) for name, each in servers.items()
    )
    (place / "fleet.toml").write_text(FLEET + registries)
    names = ", ".join(f'"{name}"' for name in servers)
    logins = ", ".join(f'{name} = "ci"' for name in servers)
    (place / "clients.toml").write_text(
        FLEET + registries + CLIENT.format(names=names, logins=logins)
    )
    done = {}

    def ask(command):
        if command not in done:
            # Its one host is away: `status` is to say 1 for another reason than that.
            file = "fleet.toml" if command == "status" else "clients.toml"
            done[command] = _run(place, command, place / file)
        return done[command]

    return ask


def _run(place, command, file):
    with (place / "out").open("w+") as out, (place / "err").open("w+") as err:
        process = subprocess.Popen(
            ["timeout", str(LONGEST), sys.executable, "-m", "regfleet", command, file, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT / "src"),
                "CI_PASSWORD": PASSWORD,
                "REGFLEET_REGISTRY_SECONDS": SECONDS,
            },
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        said, told = out.read(), err.read()
    assert "Traceback" not in told, told
    assert process.returncode == 1, (process.returncode, told[-2000:])
    return json.loads(said), said + told, usage.ru_maxrss


@pytest.mark.parametrize("command", ["status", "images"])
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_what_a_registry_does_is_its_own_error(asked, command, behaviour):
    document, _, _ = asked(command)
    error = document["registries"][behaviour]["error"] or ""
    if behaviour in UNHARMED[command]:
        assert error == ""
    else:
        assert "127.0.0.1:" in error
        assert len(error) < SAID
    assert document["ok"] is False


@pytest.mark.parametrize("command", ["status", "images", "doctor"])
def test_none_costs_more_than_a_registry_may(asked, command):
    _, _, memory = asked(command)
    assert memory < MEMORY


def test_doctor_names_them(asked):
    document, _, _ = asked("doctor")
    assert {*AT_ONCE} <= {found["registry"] for found in document["findings"]}


def test_a_password_goes_to_its_registry_alone(asked, hostile):
    """By no page, redirect or token service to another, and into no output."""
    servers, other = hostile
    for command in ("images", "doctor"):
        assert PASSWORD not in asked(command)[1]
    assert other.asked == []
    for name in ("page-elsewhere", "redirects-elsewhere", "token-elsewhere"):
        assert "Authorization: Basic" in "".join(servers[name].asked)


CHECKS = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from regfleet.registry_api.checks import negative_checks
from regfleet.registry_api.target import Target
from regfleet.registry_api.tunnel import direct

def check(case):
    name, port, tls = case
    target = Target(f"127.0.0.1:{port}", direct("127.0.0.1", port), tls=tls)
    return [(each.name, each.verdict, each.detail) for each in negative_checks(name, target, "ci")]

cases = json.load(sys.stdin)
with ThreadPoolExecutor(len(cases)) as pool:
    print(json.dumps([each for found in pool.map(check, cases) for each in found]))
"""


def test_the_smoke_tests_refusals_end_and_believe_none(hostile):
    """The checks that `smoke` and `apply` make of registries from here, without and with TLS."""
    servers, _ = hostile
    cases = [(name, server.port, tls) for name, server in servers.items() for tls in (False, True)]
    done = subprocess.run(
        [sys.executable, "-c", CHECKS],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "REGFLEET_REGISTRY_SECONDS": SECONDS,
        },
    )
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert len(found) == len(servers) * (2 + 5)
    # One does refuse, for it says 401 to everybody. Of the others nothing was seen.
    passed = {name for name, verdict, _ in found if verdict == "passed"}
    assert {name for name in passed if not name.startswith("token-elsewhere/")} == set()
