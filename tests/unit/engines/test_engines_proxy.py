"""HTTP proxies: what each engine is told, where, what needs a restart, and who may read it."""

import json
from dataclasses import replace

import pytest
import tomli
from making import client, engine, fleet, host, materials, observed, registry, with_login

from regfleet.desired.resolve import emptied, resolve
from regfleet.engines import ENGINES
from regfleet.engines.docker_proxy import masked
from regfleet.errors import HostError
from regfleet.fleet.registries import PasswordSource, Proxy, User
from regfleet.look.request import login_digest
from regfleet.model.desired import PROXIES
from regfleet.model.observed import ObservedPath, OtherEngine
from regfleet.model.plan import ActivateDocker, ActivateUnit, EditFile, InstallEngine
from regfleet.plan.diff import diff
from regfleet.record import parse
from regfleet.secret import Secret

URL = "http://proxy.lan:3128"
PLAIN = Proxy(URL, URL, ("more.lan",))
LOGIN = replace(PLAIN, user=User("b@d user", PasswordSource("env", "P")))
PASSWORD = "p:a/s@s%ü"
WHOLE = "http://b%40d%20user:p%3Aa%2Fs%40s%25%C3%BC@proxy.lan:3128"
REGISTRIES = [
    registry(hosts=(host("reg1"),)),
    registry("outside", "quay.io", external=True, hosts=(), users=()),
]
DIRECT = "more.lan,localhost,127.0.0.1,::1,web1,10.0.0.9,reg.example.com,reg1,10.0.0.9"
UNITS = {
    "containerd": ("containerd", "containerd"),
    "cri-o": ("crio", "crio"),
    "k3s": ("k3s", "rancher"),
    "rke2": ("rke2-server", "rancher"),
    "buildkit": ("buildkit", "buildkit"),
}
FACTS = {"rancher": {"k3s": {"product": "k3s", "unit": "k3s"},
                     "rke2": {"product": "rke2", "unit": "rke2-server"}}}  # fmt: skip


def wanted(proxy, name="docker", **changes):
    made = fleet(REGISTRIES, [client(engine=name, proxy=proxy, registries=(), **changes)])
    known = replace(materials(made), proxies={"build": Secret(PASSWORD)})
    known = known if proxy and proxy.user else replace(known, proxies={})
    return resolve(made, known)["web1"]


def stem(unit):
    return f"/etc/systemd/system/{unit}.service.d/regfleet-acme-proxy"


def there(want):
    """What the look finds of a host's files and directories when they are in place."""
    found = {
        file.path: ObservedPath(file.path, False, file.mode, (0, 0), file.digest)
        for file in want.files
    }
    places = {
        each.path: ObservedPath(each.path, True, each.mode, (0, 0), "") for each in want.directories
    }
    return {**places, **found}


def of(name, state="up", **facts):
    word = ENGINES[name].shell
    found = {**FACTS.get(word, {}).get(name, {}), **facts}
    version = {"containerd": "2.0.0", "podman": "5.4.0"}.get(name, "1.30.0")
    return {word: OtherEngine(state, version, "", found)}


# ---- what they are told ----


def test_the_fleets_own_are_reached_directly():
    direct = wanted(PLAIN).edits["/etc/docker/daemon.json"].values['["proxies","no-proxy"]']
    names = direct.split(",")
    assert names[0] == "more.lan"
    assert {"localhost", "127.0.0.1", "web1", "reg.example.com", "reg1"} <= set(names)
    assert "quay.io" not in names  # an external registry is what a proxy is for
    assert "web2" not in names  # a new client must not restart everybody's engine


def test_a_login_is_percent_encoded_and_prints_nowhere():
    want = wanted(LOGIN)
    settings = want.edits["/etc/docker/daemon.json"]
    assert settings.values['["proxies","https-proxy"]'] == WHOLE
    assert settings.secret == {'["proxies","http-proxy"]', '["proxies","https-proxy"]'}
    (env,) = [each for each in want.conditional if each.path == f"{stem('docker')}.env"]
    assert (env.mode, env.secret) == (0o600, True)
    assert f'HTTPS_PROXY="{WHOLE}"' in env.content.decode().splitlines()
    assert 'HTTPS_PROXY="http://***@proxy.lan:3128"' in env.shown.splitlines()
    assert "p%3Aa" not in repr(env)


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_gets_a_drop_in_and_a_file_that_root_alone_reads(name):
    unit, word = UNITS[name]
    want = wanted(LOGIN, name)
    files = {file.path: file for file in want.files}
    conf, env = files[f"{stem(unit)}.conf"], files[f"{stem(unit)}.env"]
    assert conf.content.decode().splitlines()[1:] == [
        "[Service]",
        f"EnvironmentFile=-{stem(unit)}.env",
    ]
    assert (conf.mode, env.mode, env.secret) == (0o644, 0o600, True)
    prefix = "CONTAINERD_" if word == "rancher" else ""
    assert f'{prefix}HTTPS_PROXY="{WHOLE}"' in env.content.decode().splitlines()


def test_podman_commands_get_it_from_a_drop_in():
    for containers in (False, True):
        want = wanted(replace(PLAIN, containers=containers), "podman")
        (file,) = [each for each in want.files if "containers.conf.d" in each.path]
        assert (file.path, file.mode) == (
            "/etc/containers/containers.conf.d/regfleet-acme.conf",
            0o644,
        )
        found = tomli.loads(file.content.decode())
        assert found["containers"] == {"http_proxy": containers}
        assert f"HTTPS_PROXY={URL}" in found["engine"]["env"]


def test_another_env_beside_podmans_is_refused():
    text = '[engine]\nenv = ["A=b"]\n'
    path = "/etc/containers/containers.conf"
    with pytest.raises(HostError, match=r"containers.conf sets `env` under \[engine\], too"):
        diff(wanted(PLAIN, "podman"), observed(others=of("podman"), texts={path: text}), "")
    inside = observed(others=of("podman"), texts={path: '[containers]\nenv = ["A=b"]\n'})
    diff(wanted(PLAIN, "podman"), inside, "")


# ---- what becomes of it ----


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_restarted_when_it_comes_changes_and_goes(name):
    unit, _ = UNITS[name]
    want = wanted(PLAIN, name)
    planned = diff(want, observed(others=of(name)), "")
    (step,) = [each for each in planned.steps if isinstance(each, ActivateUnit)]
    assert (step.unit, step.how, step.stops) == (unit, "restart", False)
    assert planned.activation == "restart"
    seen = observed(others=of(name), paths=there(want), owned=parse(planned.record),
                    record=planned.record)  # fmt: skip
    assert diff(want, seen, "").empty
    other = wanted(replace(PLAIN, no_proxy=()), name)
    for after in (
        other,
        emptied(fleet(REGISTRIES, [client(engine=name)]), delete_data=False)["web1"],
    ):
        steps = diff(after, seen, "").steps
        assert [each.unit for each in steps if isinstance(each, ActivateUnit)] == [unit]


@pytest.mark.parametrize("name", UNITS)
def test_one_that_does_not_run_is_not_started_for_it(name):
    planned = diff(wanted(PLAIN, name), observed(others=of(name, "down", unit="")), "")
    assert not [
        each for each in planned.steps if isinstance(each, ActivateUnit) and each.how == "restart"
    ]


@pytest.mark.parametrize("name", UNITS)
def test_without_systemd_it_is_refused(name):
    with pytest.raises(HostError, match="gets its proxy from a drop-in of systemd's"):
        diff(wanted(PLAIN, name), observed(others=of(name), init="scripts"), "")


# ---- Docker ----


def docker(version="26.1.5", state="up", **changes):
    return engine(state, version=version, **changes)


def activation(planned):
    (step,) = [each for each in planned.steps if isinstance(each, ActivateDocker)]
    return step


def test_from_23_on_daemon_json_has_it():
    planned = diff(wanted(LOGIN), observed(engine=docker()), "")
    (edit,) = [each for each in planned.steps if isinstance(each, EditFile)]
    assert json.loads(edit.content)["proxies"]["https-proxy"] == WHOLE
    assert edit.mode == 0o600
    step = activation(planned)
    assert step.how == "restart"
    assert f"https-proxy {masked(WHOLE)}" in step.expect
    assert masked(WHOLE) == "http://xxxxx:xxxxx@proxy.lan:3128"
    shown = repr(planned) + "".join(change.diff for change in planned.changes)
    assert "p%3Aa" not in shown
    assert "p%3Aa" not in planned.record
    assert not [each for each in planned.steps if "service.d" in str(each)]


def test_before_23_a_drop_in_has_it():
    want = wanted(LOGIN)
    planned = diff(want, observed(engine=docker("20.10.24")), "")
    assert "proxies" not in str([each for each in planned.steps if isinstance(each, EditFile)])
    written = [str(each) for each in planned.steps]
    assert any(f"{stem('docker')}.conf" in each for each in written)
    step = activation(planned)
    assert (step.how, f"https-proxy {masked(WHOLE)}" in step.expect) == ("restart", True)
    assert "p%3Aa" not in repr(planned)


@pytest.mark.parametrize(
    ("texts", "path"),
    [
        ({"/etc/default/docker": "# none\nDOCKER_OPTS=\n"}, "/etc/default/docker"),
        ({"/etc/conf.d/docker": "# none\n"}, "/etc/conf.d/docker"),
        ({}, "/etc/default/docker"),
    ],
)
def test_before_23_a_service_script_exports_it(texts, path):
    live = docker("20.10.24", start={"Script": (path,)})
    seen = observed(engine=live, init="scripts", texts=texts)
    planned = diff(wanted(LOGIN), seen, "")
    (edit,) = [each for each in planned.steps if isinstance(each, EditFile)]
    assert (edit.path, edit.mode) == (path, 0o600)
    assert edit.content.startswith(texts.get(path, ""))
    assert f'export HTTPS_PROXY="{WHOLE}"\n' in edit.content
    assert activation(planned).how == "restart"
    assert "p%3Aa" not in repr(planned) + "".join(change.diff for change in planned.changes)
    assert "p%3Aa" not in planned.record
    after = replace(seen, texts={path: edit.content}, owned=parse(planned.record),
                    record=planned.record, originals=texts)  # fmt: skip
    gone = diff(emptied(fleet(REGISTRIES, [client()]), delete_data=False)["web1"], after, "")
    assert activation(gone).how == "restart"
    assert path in str(gone.steps)


def test_a_missing_docker_is_installed_first():
    planned = diff(wanted(PLAIN), observed(engine=docker("", "missing")), "")
    assert planned.again
    assert [type(each) for each in planned.steps] == [InstallEngine]


def test_a_docker_that_has_another_proxy_is_restarted():
    want = wanted(PLAIN)
    planned = diff(want, observed(engine=docker()), "")
    text = next(each.content for each in planned.steps if isinstance(each, EditFile))
    settings = json.loads(text)["proxies"]
    mine = {"daemon_json": text, "owned": parse(planned.record), "record": planned.record,
            "paths": there(want)}  # fmt: skip
    assert diff(want, observed(engine=docker(proxies=settings), **mine), "").empty
    again = diff(want, observed(engine=docker(), **mine), "")
    assert [change.reason for change in again.changes] == ["the running daemon has another proxy"]
    assert activation(again).how == "restart"


def test_what_goes_must_not_be_shown_any_more_unless_somebody_else_says_it():
    want = wanted(PLAIN)
    planned = diff(want, observed(engine=docker()), "")
    text = next(each.content for each in planned.steps if isinstance(each, EditFile))
    live = docker(proxies=json.loads(text)["proxies"])
    seen = observed(engine=live, daemon_json=text, owned=parse(planned.record),
                    record=planned.record, paths=there(want))  # fmt: skip
    nothing = wanted(None)
    assert f"https-proxy {URL}" in activation(diff(nothing, seen, "")).refuse
    theirs = f'[Service]\nEnvironment="HTTPS_PROXY={URL}"\n'
    path = "/etc/systemd/system/docker.service.d/theirs.conf"
    beside = replace(seen, texts={**seen.texts, path: theirs})
    assert not activation(diff(nothing, beside, "")).refuse


def test_a_flag_that_says_it_is_in_the_way():
    flags = ("/usr/sbin/dockerd", "--https-proxy=http://other")
    with pytest.raises(HostError, match="--https-proxy=http://other"):
        diff(wanted(PLAIN), observed(engine=docker(flags=flags)), "")


# ---- containers ----


@pytest.mark.parametrize("name", ["docker", "docker-sysconfig"])
def test_accounts_get_it_for_their_containers(name):
    proxy = replace(LOGIN, containers=True)
    made = with_login(accounts=("ops",))
    want = wanted(proxy, name, logins=made)
    found = {each.account: each for each in want.logins if each.endpoint == PROXIES}
    assert set(found) == {"root", "ops"}
    text = found["ops"].password.reveal()
    assert json.loads(text)["httpsProxy"] == WHOLE
    assert "\n" not in text
    planned = diff(want, observed(engine=docker()), "salt")
    assert "p%3Aa" not in repr(planned) + planned.record
    kept = {("ops", PROXIES): login_digest(found["ops"], "salt")}
    fewer = diff(want, observed(engine=docker(), logins=kept), "salt")
    names = [change.resource.name for change in fewer.changes if change.resource.kind == "proxies"]
    assert names == ["root"]


def test_accounts_get_nothing_unasked():
    assert not [each for each in wanted(LOGIN).logins if each.endpoint == PROXIES]
