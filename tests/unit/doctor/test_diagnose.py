"""From observations to findings: tables of what is seen and what is said of it."""

from dataclasses import replace

import pytest
from making import (
    client,
    container,
    daemon_json,
    desired,
    engine,
    fleet,
    host,
    login,
    observed,
    registry,
    seen_container,
    systemctl_show,
    with_login,
)

from regfleet.doctor.case import Case, HostExam, RegistryExam
from regfleet.doctor.diagnose import diagnose
from regfleet.doctor.signs import Disk, Signs, Try
from regfleet.errors import (
    CertificateError,
    HostError,
    PasswordError,
    RegfleetError,
    UnreachableError,
    UnreadLoginError,
)
from regfleet.fleet.registries import Gateway, Tls
from regfleet.model.files import File
from regfleet.model.observed import ObservedPath
from regfleet.model.plan import Change, Plan
from regfleet.model.resource import Resource
from regfleet.record import DAEMON_JSON, Owned
from regfleet.registry_api.errors import RegistryError
from regfleet.report.resource_text import found_text

ENDPOINT = "reg.example.com:5000"
PLAIN = "plain.example.com:5001"
CA = f"/etc/docker/certs.d/{ENDPOINT}/ca.crt"
FILE = File(CA, b"CA\n", 0o444, "client.build.registries: main")
GOOD_CA = ObservedPath(CA, False, 0o444, (0, 0), FILE.digest)
HOME = host("reg1", port=22)
HOME = replace(HOME, address="10.0.0.5")
FLEET = fleet(
    [
        registry(hosts=(HOME,)),
        registry("plain", PLAIN, hosts=(HOME,), tls=Tls("none"), users=()),
        registry("cloud", "cloud.example", hosts=(), external=True, users=(), tls=Tls("public")),
    ],
    [client(registries=("main", "plain", "cloud"), logins=with_login())],
)
DESIRED = {
    "reg1": desired(name="reg1", services=(container(),)),
    "web1": desired(files=(FILE,), logins=(login(),)),
    "web2": desired(name="web2", files=(FILE,), logins=(login(),)),
}
OWNED = {"acme": Owned()}
WELL = Signs(names={"reg.example.com": ("10.0.0.5",)}, complete=True)
RUNNING = {"regfleet-main": seen_container("regfleet-main", True, "x", "x", "acme")}


def exam(name="web1", signs=WELL, **changes):
    settings = {"owned": OWNED, "paths": {CA: GOOD_CA}, "logins": {("root", ENDPOINT): "x"}}
    if name == "reg1":
        settings = {"owned": OWNED, "services": RUNNING}
    aside = {
        key: changes.pop(key)
        for key in ("skew", "error", "refused", "reached", "plan")
        if key in changes
    }
    if "error" in aside:
        return HostExam(name, **aside)
    return HostExam(name, seen=observed(**{**settings, **changes}), signs=signs, **aside)


def case(*exams, asked=(), **changes):
    registries = {"main": RegistryExam("main", "ci"), "plain": RegistryExam("plain")}
    registries |= {each.name: each for each in asked}
    return Case(FLEET, DESIRED, {each.name: each for each in exams}, registries, **changes)


def found(*exams, **changes):
    return diagnose(case(*exams, **changes), "fleet.toml").findings


def brief(*exams, **changes):
    return [(each.cause, each.hosts, each.registry) for each in found(*exams, **changes)]


def trying(said, endpoint=ENDPOINT, account="root", status=1, **changes):
    return replace(WELL, tries=(Try(endpoint, account, status, said),), **changes)


def get(endpoint, what, scheme="https"):
    return f'Error response from daemon: Get "{scheme}://{endpoint}/v2/": {what}'


UNKNOWN = get(ENDPOINT, "x509: certificate signed by unknown authority")
REFUSED = get(ENDPOINT, "dial tcp 10.0.0.5:5000: connect: connection refused")
HTTP = get(PLAIN, "http: server gave HTTP response to HTTPS client")
MISSING = f"manifest for {ENDPOINT}/regfleet/doctor:none not found: manifest unknown"


def test_nothing_is_found_where_all_is_well():
    diagnosis = diagnose(
        case(exam("reg1"), exam(signs=trying(MISSING)), exam("web2")), "fleet.toml"
    )
    assert diagnosis.ok
    assert diagnosis.notes == ()
    assert diagnosis.reached == ("reg1", "web1", "web2")


# ---- one host by itself ----

UNIT = "/lib/systemd/system/docker.service"
PROXIED = {UNIT: "[Service]\nExecStart=/bin/dockerd --http-proxy=http://joe:sesame@p\n"}
BAD_JSON = '{"insecure-registries": ["x"],}'
HOSTS = {
    "full disk": (
        exam(signs=replace(WELL, disks=(Disk("/var", 99 * 1024, 10**6), Disk("/", 10**9)))),
        ("disk-full", "/var: 99 MiB free"),
    ),
    "wholly full disk": (
        exam(signs=replace(WELL, disks=(Disk("/var", 0),))),
        ("disk-full", "/var: nothing free"),
    ),
    "no inodes": (
        exam(signs=replace(WELL, disks=(Disk("/var", 10**9, 3),))),
        ("disk-full", "3 inodes free"),
    ),
    "daemon.json": (
        exam(daemon_json=BAD_JSON),
        (
            "daemon-json",
            "/etc/docker/daemon.json: line 1, column 30: a comma too many before the closing }",
        ),
    ),
    "a flag's name": (
        exam(daemon_json='{"insecure-registry": ["x"]}'),
        ("ignored-key", '"insecure-registry" in /etc/docker/daemon.json'),
    ),
    "flag of the running daemon": (
        exam(daemon_json='{"hosts": []}', engine=engine(flags=("dockerd", "-H", "fd://"))),
        ("flag-conflict", '-H in the running dockerd\'s command line, "hosts" in /etc/docker'),
    ),
    "flag in a file": (
        exam(
            daemon_json='{"registry-mirrors": []}',
            engine=engine("down"),
            init="scripts",
            texts={"/etc/default/docker": 'DOCKER_OPTS="--registry-mirror=x"\n'},
        ),
        ("flag-conflict", '--registry-mirror in /etc/default/docker, "registry-mirrors" in'),
    ),
    "flag inside proxies": (
        exam(
            daemon_json='{"proxies": {"http-proxy": "http://joe:sesame@p"}}',
            texts=PROXIED,
            engine=engine(start=systemctl_show(PROXIED)),
        ),
        ("flag-conflict", f'--http-proxy in {UNIT}, "http-proxy" in'),
    ),
    "stopped": (
        exam(engine=engine("down"), signs=replace(WELL, stopped=True)),
        ("engine-stopped", "it does not run"),
    ),
    "failed": (
        exam(engine=engine("down"), signs=replace(WELL, words=("it broke",))),
        ("engine-down", "it does not run"),
    ),
    "failed for an unknown key": (
        exam(
            engine=engine("down"),
            signs=replace(
                WELL, words=("the following directives don't match any configuration option: xy",)
            ),
        ),
        ("unknown-key", "it does not run"),
    ),
    "failing for an unknown key": (
        exam(
            engine=engine("silent", detail="EOF"),
            signs=replace(
                WELL,
                starting=True,
                words=("the following directives don't match any configuration option: xy",),
            ),
        ),
        ("unknown-key", "it ends at each start"),
    ),
    "silent": (exam(engine=engine("silent", detail="EOF")), ("engine-silent", "EOF")),
    "silent, with words from before": (
        exam(
            engine=engine("silent", detail="EOF"),
            signs=replace(
                WELL, words=("the following directives don't match any configuration option: xy",)
            ),
        ),
        ("engine-silent", "EOF"),
    ),
    "gone": (exam(engine=engine("missing")), ("engine-missing", "no dockerd")),
    "rate limit in the log": (
        exam(signs=replace(WELL, limited="toomanyrequests: x")),
        ("rate-limit", "the engine's log"),
    ),
    "rate limit now": (
        exam(signs=replace(WELL, offers={"busybox:latest": "toomanyrequests: x"})),
        ("rate-limit", "busybox:latest is not on the host"),
    ),
    "no image": (
        exam(signs=replace(WELL, offers={"busybox:latest": "no such host"})),
        ("image-unavailable", "busybox:latest is not on the host"),
    ),
    "ahead": (exam(skew=61), ("clock", "it is 61 s ahead of this machine's")),
    "behind": (exam(skew=-3600), ("clock", "it is 3600 s behind this machine's")),
    "orphan": (
        exam(signs=replace(WELL, certificates={CA[:-7]: ("ca.crt", "a.b.cert")})),
        ("orphan-pair", f"{CA[:-7]} has a.b.cert, and no a.b.key"),
    ),
    "orphan key": (
        exam(signs=replace(WELL, certificates={CA[:-7]: ("ca.key",)})),
        ("orphan-pair", "has ca.key, and no ca.cert"),
    ),
    "no name": (
        exam(signs=replace(WELL, names={"reg.example.com": ()})),
        ("name-not-resolved", "`getent hosts reg.example.com` gives nothing"),
    ),
    "refused by the plan": (
        exam(refused=HostError("web1", "too old", "use a newer one")),
        ("refused", "too old"),
    ),
    "unreachable": (
        exam(error=UnreachableError("web1", "no way", "is it up?"), reached=False),
        ("unreachable", "no way"),
    ),
    "no sudo": (exam(error=HostError("web1", "sudo asks")), ("not-looked-at", "sudo asks")),
}


@pytest.mark.parametrize("name", HOSTS)
def test_a_host(name):
    one, (cause, text) = HOSTS[name]
    (finding,) = found(one)
    assert (finding.cause, finding.hosts) == (cause, ("web1",))
    assert text in finding.found
    assert "sesame" not in repr(finding)
    assert finding.fix or name == "no sudo"


NO_HOST_TROUBLE = {
    "its own registry listens": exam(
        "reg1", replace(WELL, ports={"127.0.0.1:5000": "docker-proxy 9"})
    ),
    "plenty of space": exam(signs=replace(WELL, disks=(Disk("/var", 100 * 1024, 1000),))),
    "a minute": exam(skew=60),
    "keys that merge": exam(
        daemon_json='{"runtimes": {}}', engine=engine(flags=("dockerd", "--add-runtime=x"))
    ),
    "other flags": exam(
        daemon_json='{"debug": true}', engine=engine(flags=("dockerd", "--log-level=info"))
    ),
    "a whole pair": exam(signs=replace(WELL, certificates={CA[:-7]: ("a.cert", "a.key", "x")})),
    "somebody else's orphan": exam(
        signs=replace(WELL, certificates={"/etc/docker/certs.d/foreign:1": ("a.cert",)})
    ),
    "an orphan that is not read": exam(
        signs=replace(WELL, certificates={f"/etc/docker/certs.d/{PLAIN}": ("a.cert",)})
    ),
}


@pytest.mark.parametrize("name", NO_HOST_TROUBLE)
def test_what_is_no_trouble(name):
    assert brief(NO_HOST_TROUBLE[name]) == []


def test_a_declared_key_that_a_flag_stands_in_the_way_of():
    want = replace(DESIRED["web1"], edits={DAEMON_JSON: daemon_json({"registry-mirrors": ("x",)})})
    one = exam(engine=engine(flags=("dockerd", "--registry-mirror=x")))
    refused = HostError("web1", "the same, in other words")
    (finding,) = diagnose(
        replace(case(replace(one, refused=refused)), desired={**DESIRED, "web1": want}), "f"
    ).findings
    assert finding.cause == "flag-conflict"
    assert '"registry-mirrors" is declared' in finding.found


def test_an_engine_that_cannot_start_is_said_once():
    one = exam(
        daemon_json=BAD_JSON,
        engine=engine("down"),
        signs=replace(WELL, words=("invalid character '}' looking for beginning",)),
        refused=HostError("web1", "not JSON"),
    )
    (finding,) = found(one)
    assert finding.cause == "daemon-json"
    assert finding.said == "invalid character '}' looking for beginning"


def test_clocks_that_all_differ_alike_are_this_machines():
    (finding,) = found(exam(skew=500), exam("web2", skew=503))
    assert finding.hosts == ()
    assert finding.title == "the clock of this machine is wrong"
    assert "behind the clocks of all 2 hosts" in finding.found
    assert len(found(exam(skew=500), exam("web2", skew=-500))) == 2


# Its gateway on a host of its own; a token that lb1 signs is checked by reg1's clock.
BALANCED = replace(FLEET.registries["main"], gateway=Gateway("nginx:stable", hosts=(host("lb1"),)))
TOKENS = "503: the registry refuses the tokens of this gateway: ..."


def behind_a_gateway(*exams, **changes):
    """The findings where `main` has its gateway on lb1."""
    made = case(*exams, **changes)
    of_lb1 = {**DESIRED, "lb1": desired(name="lb1")}
    registries = {**FLEET.registries, "main": BALANCED}
    return diagnose(
        replace(made, fleet=replace(FLEET, registries=registries), desired=of_lb1), "fleet.toml"
    ).findings


@pytest.mark.parametrize(
    ("skews", "causes"),
    [
        ({"lb1": 40, "reg1": -40}, [("gateway-clock", ("lb1",), "main")]),
        ({"lb1": -40, "reg1": 40}, [("gateway-clock", ("reg1",), "main")]),
        ({"lb1": 30, "reg1": -30}, []),
        ({"lb1": 90, "reg1": 0}, [("clock", ("lb1",), "")]),  # which says it all
        ({"lb1": 40, "web1": -40}, []),  # a client checks no tokens
    ],
)
def test_clocks_of_a_gateway_and_its_registry(skews, causes):
    exams = [exam(name, skew=skews.get(name, 0)) for name in ("lb1", "reg1", "web1")]
    found = behind_a_gateway(*exams)
    assert [(each.cause, each.hosts, each.registry) for each in found] == causes


@pytest.mark.parametrize(("lb1", "reg1"), [(40, -40), (100, 0)])
def test_clocks_explain_why_tokens_are_refused(lb1, reg1):
    """Once: the registry's answer and those of its clients follow from it."""
    said = get(ENDPOINT, "denied: the registry refuses the tokens of this gateway")
    exams = (exam("lb1", skew=lb1), exam("reg1", skew=reg1), exam(signs=trying(said)))
    asked = [RegistryExam("main", "ci", RegistryError("protocol", TOKENS))]
    (finding,) = behind_a_gateway(*exams, asked=asked)
    assert finding.cause in ("clock", "gateway-clock")
    assert finding.felt_by == ("web1",)
    if finding.cause == "gateway-clock":
        assert finding.found == "the clock of lb1 is 80 s ahead of that of reg1"
        assert "reg1" in finding.check[0]
    exams = (exam("lb1"), exam("reg1"), exam(signs=trying(said)))
    causes = {each.cause for each in behind_a_gateway(*exams, asked=asked)}
    assert causes == {"gateway-tokens"}


# ---- the fleet ----


def test_a_fleet_that_was_never_applied():
    exams = [
        exam(name, owned={}, signs=replace(WELL, tries=(Try(ENDPOINT, "root", 1, UNKNOWN),)))
        for name in ("reg1", "web1", "web2")
    ]
    errors = (RegfleetError("the CA is not in the state directory", "apply"),)
    asked = [RegistryExam("main", error=RegistryError("refused", "nobody listens"))]
    (finding,) = found(*exams, asked=asked, errors=errors)
    assert (finding.cause, finding.hosts) == ("not-applied", ("reg1", "web1", "web2"))
    assert finding.fix == ("$ regfleet apply fleet.toml",)


def test_what_would_hinder_the_first_apply_is_said():
    signs = replace(WELL, ports={"127.0.0.1:5000": "nginx 77"}, names={"reg.example.com": ()})
    missing = {"regfleet-main": replace(RUNNING["regfleet-main"], running=False)}
    causes = [
        each.cause for each in found(exam("reg1", owned={}, signs=signs, services=missing), exam())
    ]
    assert causes == ["port-taken", "name-not-resolved", "not-applied"]


def test_a_fleet_that_was_applied_from_elsewhere():
    errors = (RegfleetError("the CA is not in the state directory", "apply"),)
    (finding,) = found(exam(), errors=errors)
    assert finding.cause == "elsewhere"
    assert "$ regfleet doctor fleet.toml --state-dir DIRECTORY" in finding.fix


def test_what_apply_would_refuse_is_said_with_its_hint():
    errors = (
        PasswordError("the variable X is not set", "export X"),
        CertificateError("no such file", "make it"),
    )
    assert [(each.cause, each.found, each.fix) for each in found(exam(), errors=errors)] == [
        ("password-unknown", "the variable X is not set", ("export X",)),
        ("certificate-unusable", "no such file", ("make it",)),
    ]


# ---- a registry, asked from here ----

ASKED = {
    "refused": ("refused", "nobody listens", "registry-down"),
    "timeout": ("timeout", "no answer", "registry-silent"),
    "untrusted": ("untrusted", "unknown", "server-other"),
    "wrong name": ("wrong-name", "for other names", "wrong-name"),
    "expired": ("expired", "has expired", "certificate-dates"),
    "no TLS": ("tls", "reg: no TLS is spoken there", "plain-server"),
    "TLS, broken": ("tls", "reg: TLS failed", "registry-error"),
    "401": ("unauthorized", "does not accept", "password-differs"),
    "no registry": ("not-a-registry", "/v2/ is not found", "not-a-registry"),
    "500": ("protocol", "500", "registry-error"),
    "tokens": ("protocol", "503: refuses the tokens of this gateway: ...", "gateway-tokens"),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_registry(name):
    kind, message, cause = ASKED[name]
    asked = [RegistryExam("main", "ci", RegistryError(kind, message))]
    (finding,) = found(exam("reg1"), exam(), asked=asked)
    assert (finding.cause, finding.hosts, finding.registry) == (cause, ("reg1",), "main")


def test_a_plain_registry_that_speaks_tls():
    error = RegistryError("tls", f"{PLAIN} speaks TLS, and was asked without")
    (finding,) = found(exam("reg1"), asked=[RegistryExam("plain", error=error)])
    assert (finding.cause, finding.registry) == ("tls-server", "plain")


def test_its_container_and_its_last_words():
    stopped = {"regfleet-main": replace(RUNNING["regfleet-main"], running=False)}
    signs = replace(
        WELL, states={"regfleet-main": "exited 2"}, last={"regfleet-main": "panic: disk"}
    )
    asked = [RegistryExam("main", "ci", RegistryError("refused", "nobody listens"))]
    (finding,) = found(exam("reg1", signs=signs, services=stopped), asked=asked)
    assert finding.found == "the container regfleet-main has exited with code 2"
    assert finding.said == "panic: disk"
    (finding,) = found(exam("reg1", services={}), asked=asked)
    assert finding.found == "there is no container regfleet-main on reg1"


def test_a_gateway_without_njs():
    words = 'nginx: [emerg] dlopen() "/usr/lib/nginx/modules/ngx_http_js_module.so" failed (...)'
    signs = replace(WELL, states={"regfleet-main": "exited 1"}, last={"regfleet-main": words})
    asked = [RegistryExam("main", "ci", RegistryError("refused", "nobody listens"))]
    (finding,) = found(exam("reg1", signs=signs, services={}), asked=asked)
    assert (finding.cause, finding.said) == ("gateway-njs", words)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("running 0", "runs, but does not answer there"),
        ("restarting 1", "exits and is started again and again, the last time with code 1"),
        ("created 0", "was made, but never started"),
        ("paused 0", "is paused"),
    ],
)
def test_the_state_of_a_registry_that_refuses_connections(state, words):
    asked = [RegistryExam("main", "ci", RegistryError("refused", "nobody listens"))]
    signs = replace(WELL, states={"regfleet-main": state})
    (finding,) = found(exam("reg1", signs=signs, services={}), asked=asked)
    assert finding.found == f"the container regfleet-main {words}"


@pytest.mark.parametrize("kind", ["refused", "timeout", "unreachable"])
def test_an_external_registry_out_of_our_reach_is_no_finding(kind):
    assert brief(exam(), asked=[RegistryExam("cloud", error=RegistryError(kind, "x"))]) == []


def test_a_way_that_sshd_does_not_give_is_a_note():
    error = RegistryError("unreachable", "the host's sshd refuses to forward")
    diagnosis = diagnose(
        case(exam("reg1"), asked=[RegistryExam("main", error=error)]), "fleet.toml"
    )
    assert diagnosis.ok
    assert diagnosis.notes == ("main was not asked from here: the host's sshd refuses to forward",)


def test_roots_are_said_once_with_those_who_feel_them():
    asked = [RegistryExam("main", "ci", RegistryError("refused", "nobody listens"))]
    clients = [exam(name, signs=trying(REFUSED)) for name in ("web1", "web2")]
    (finding,) = found(exam("reg1"), *clients, asked=asked)
    assert (finding.cause, finding.felt_by) == ("registry-down", ("web1", "web2"))
    (finding,) = found(exam("reg1", engine=engine("down")), *clients, asked=asked)
    assert (finding.cause, finding.felt_by) == ("engine-down", ("web1", "web2"))
    gone = exam("reg1", error=UnreachableError("reg1", "no way"), reached=False)
    away = [RegistryExam("main", "ci", gone.error)]
    (finding,) = found(gone, *clients, asked=away)
    assert (finding.cause, finding.felt_by) == ("unreachable", ("web1", "web2"))


def test_a_port_that_another_has_taken():
    stopped = {"regfleet-main": replace(RUNNING["regfleet-main"], running=False)}
    signs = replace(WELL, ports={"127.0.0.1:5000": "nginx 77"})
    asked = [RegistryExam("main", "ci", RegistryError("not-a-registry", "404"))]
    web = exam(signs=trying(get(ENDPOINT, "x509: certificate signed by unknown authority")))
    (finding,) = found(exam("reg1", signs=signs, services=stopped), web, asked=asked)
    assert finding.cause == "port-taken"
    assert finding.found == "nginx (process 77) listens there"
    assert finding.title == "another program uses port 5000 on reg1"
    assert finding.felt_by == ("web1",)


# ---- a client and its registries ----

OTHER_CA = replace(GOOD_CA, digest="other")
TRIES = {
    "the CA is missing": (exam(signs=trying(UNKNOWN), paths={}), "ca-missing", f"{CA} is missing"),
    "another CA": (
        exam(signs=trying(UNKNOWN), paths={CA: OTHER_CA}),
        "ca-other",
        "is not the declared CA",
    ),
    "another server": (exam(signs=trying(UNKNOWN)), "server-other", "leads to 10.0.0.5"),
    "a public registry": (
        exam(
            signs=trying(
                get("cloud.example", "x509: certificate signed by unknown authority"),
                "cloud.example",
            )
        ),
        "unknown-authority",
        "asked as root",
    ),
    "logged out": (
        exam(signs=trying("Head x: no basic auth credentials"), logins={}),
        "logged-out",
        "no login of root's",
    ),
    "logged out, says Podman": (
        exam(signs=trying("reading manifest none: authentication required"), logins={}),
        "logged-out",
        "no login of root's",
    ),
    "a wrong login": (
        exam(signs=trying("unauthorized: authentication required")),
        "unauthorized",
        "asked as root",
    ),
    "refused": (
        exam(signs=trying(REFUSED)),
        "connection-refused",
        "leads to 10.0.0.5 there; the registry is on reg1 (10.0.0.5), and answers there",
    ),
    "another address": (
        exam(signs=trying(REFUSED, names={"reg.example.com": ("10.0.0.9",)})),
        "wrong-address",
        "leads to 10.0.0.9",
    ),
    "no answer": (
        exam(signs=trying(get(ENDPOINT, "dial tcp 10.0.0.5:5000: i/o timeout"))),
        "no-answer",
        "leads to 10.0.0.5",
    ),
    "no answer in time": (exam(signs=trying("", status=124)), "no-answer", "leads to"),
    "a proxy that fails": (
        exam(
            signs=trying(
                get(ENDPOINT, "proxyconnect tcp: EOF"), proxies={"https": "http://p", "no": "a"}
            )
        ),
        "proxy",
        "it asks http://p; NO_PROXY is a",
    ),
    "a proxy that swallows": (
        exam(signs=trying(REFUSED, proxies={"https": "http://p"})),
        "proxy",
        "it asks http://p; NO_PROXY is not set",
    ),
    "not told to be plain": (
        exam(signs=trying(HTTP, PLAIN)),
        "plain-missing",
        "not among the running",
    ),
    "told, and not enough": (
        exam(signs=trying(HTTP, PLAIN), engine=engine(insecure=frozenset({PLAIN}))),
        "plain-missing",
        "the engine uses HTTPS",
    ),
    "HTTP from elsewhere": (
        exam(signs=trying(get(ENDPOINT, "http: server gave HTTP response to HTTPS client"))),
        "plain-server",
        "asked as root",
    ),
    "a certificate out of date": (
        exam(signs=trying(get(ENDPOINT, "x509: certificate has expired or is not yet valid: x"))),
        "certificate-dates",
        "asked as root",
    ),
    "a wrong name": (
        exam(signs=trying(get(ENDPOINT, "x509: certificate is valid for a, not b"))),
        "wrong-name",
        "asked as root",
    ),
    "unheard of": (exam(signs=trying("the moon is full")), "unexplained", "matches no known cause"),
}


@pytest.mark.parametrize("name", TRIES)
def test_a_pull(name):
    one, cause, text = TRIES[name]
    (finding,) = found(one)
    assert finding.cause == cause
    assert text in finding.found
    tried = one.signs.tries[0]
    assert finding.said == (tried.said or "no answer in time")
    assert finding.registry == case(one).by_endpoint(tried.endpoint).name


REACHED = {
    "no such image": exam(signs=trying(MISSING)),
    "denied": exam(signs=trying("pull access denied for x, repository does not exist")),
    "somebody has pushed it": exam(signs=trying("abc", status=0)),
    "no login is declared": exam(signs=trying("no basic auth credentials", account="ops")),
    "a registry that is not declared": exam(signs=trying(UNKNOWN, "foreign:1")),
    "not applied there yet": exam(signs=trying(UNKNOWN), owned={}),
}


@pytest.mark.parametrize("name", REACHED)
def test_pulls_that_are_well(name):
    causes = {each.cause for each in found(REACHED[name])}
    assert causes <= {"not-applied"}


def test_what_has_been_said_of_the_host_is_not_said_again():
    lookup = get(ENDPOINT, "dial tcp: lookup reg.example.com on 10.0.0.1:53: no such host")
    for said in (lookup, REFUSED):
        (finding,) = found(exam(signs=trying(said, names={"reg.example.com": ()})))
        assert finding.cause == "name-not-resolved"
    said = "missing key a.key for client certificate a.cert"
    (finding,) = found(exam(signs=trying(said, certificates={CA[:-7]: ("a.cert",)})))
    assert finding.cause == "orphan-pair"
    said = get(ENDPOINT, "x509: certificate has expired or is not yet valid")
    (finding,) = found(exam(signs=trying(said), skew=10**6))
    assert finding.cause == "clock"
    full = trying("write /x: no space left on device", disks=(Disk("/", 0),))
    (finding,) = found(exam(signs=full))
    assert finding.cause == "disk-full"


def test_two_accounts_and_one_cause_are_one_finding():
    tries = (Try(ENDPOINT, "root", 1, UNKNOWN), Try(ENDPOINT, "ops", 1, UNKNOWN))
    assert len(found(exam(signs=replace(WELL, tries=tries), paths={}))) == 1


def test_hosts_that_share_a_cause_stand_together():
    clients = [exam(name, signs=trying(UNKNOWN), paths={}) for name in ("web1", "web2")]
    (finding,) = found(*clients)
    assert finding.hosts == ("web1", "web2")
    assert finding.title == f"the CA of {ENDPOINT} is missing on web1, web2"
    assert finding.fix == ("$ regfleet apply fleet.toml --limit client_build",)


def test_hosts_that_differ_in_their_addresses_alone_stand_together():
    exams = [
        exam(
            name,
            error=UnreachableError(name, f"no SSH connection to ops@{name}", f"try ssh {name}"),
            reached=False,
        )
        for name in ("web1", "web2")
    ]
    (finding,) = found(*exams)
    assert finding.found == "no SSH connection to ops@HOST"
    assert finding.fix == ("try ssh HOST",)
    (finding,) = found(exams[0])
    assert (finding.found, finding.fix) == ("no SSH connection to ops@web1", ("try ssh web1",))


def test_a_mirror_that_is_not_declared():
    (finding,) = found(exam(signs=replace(WELL, names={"mirror.example": ()})))
    assert (finding.cause, finding.registry) == ("mirror-not-resolved", "")
    assert finding.title == "the name mirror.example of a mirror does not resolve there"


def test_a_ca_that_is_not_known_here_is_not_compared():
    one = exam(signs=trying(UNKNOWN), paths={CA: OTHER_CA})
    unknown = {"web1": frozenset({Resource("file", CA)})}
    assert [each.cause for each in found(one, unknown=unknown)] == ["unknown-authority"]


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (UnreadLoginError("web1", "no login can be seen there"), {"config-json"}),
        (HostError("web1", "the login of an old engine: too old"), {"config-json", "refused"}),
    ],
)
def test_logins_that_cannot_be_read_are_told_once(refused, told):
    said = "Error loading config file: /root/.docker/config.json: invalid character '}'"
    one = exam(signs=trying(said), refused=refused)
    assert {each.cause for each in found(one)} == told


def test_an_examination_that_was_cut_off_is_a_note():
    diagnosis = diagnose(case(exam(signs=replace(WELL, complete=False))), "f")
    assert diagnosis.notes == (
        "the examination of web1 ended early: not everything was checked there",
    )


# ---- what a plan says beside it ----

NO_CA = Plan("web1", (Change(Resource("file", CA), "create", "client.build.registries: main"),))
EDITED = Plan(
    "web1", (Change(Resource("daemon.json", "registry-mirrors"), "update", "client.build.mirrors"),)
)
DOWN = RegistryExam("main", "", RegistryError("refused", ENDPOINT, "connection refused"))


def test_a_missing_ca_is_found_beside_a_dead_registry():
    without = exam(signs=trying(REFUSED), paths={}, plan=NO_CA)
    said = brief(exam("reg1", services={}), without, asked=(DOWN,))
    assert said == [("registry-down", ("reg1",), "main"), ("ca-missing", ("web1",), "main")]


def test_it_is_said_once_where_a_pull_says_so_too():
    without = exam(signs=trying(UNKNOWN), paths={}, plan=NO_CA)
    assert brief(exam("reg1"), without) == [("ca-missing", ("web1",), "main")]


def test_what_nothing_else_explains_is_told_as_the_plan_tells_it():
    (one,) = found(exam("reg1"), exam(signs=trying(MISSING), plan=EDITED))
    assert (one.cause, one.hosts) == ("not-as-declared", ("web1",))
    assert found_text(one) == "daemon.json registry-mirrors (client.build.mirrors)"
    assert one.fix == ("$ regfleet apply fleet.toml --limit web1",)


def test_what_is_not_known_here_is_no_difference():
    unknown = {"web1": frozenset({Resource("file", CA)})}
    assert found(exam("reg1"), exam(signs=trying(MISSING), plan=NO_CA), unknown=unknown) == ()


def test_an_engine_that_is_down_explains_the_rest_and_comes_first():
    down = replace(WELL, words=("it failed",))
    stopped = exam("reg1", signs=down, engine=engine(state="down"), plan=EDITED)
    said = brief(exam(signs=trying(REFUSED)), stopped, asked=(DOWN,))
    assert said[0][0] == "engine-down"
    assert "not-as-declared" not in [cause for cause, _, _ in said]
