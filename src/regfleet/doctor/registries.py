"""What registries show from here, and what their clients get from them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from regfleet.desired.model import DesiredHost
from regfleet.desired.resolve import clients_of
from regfleet.doctor.case import Case, HostExam, RegistryExam
from regfleet.doctor.causes import Recognised, causes, recognise
from regfleet.doctor.finding import Symptom
from regfleet.doctor.program import ROOT, is_address
from regfleet.doctor.proxies import proxy_of
from regfleet.doctor.signs import Try
from regfleet.engines import ENGINES
from regfleet.errors import UnreachableError
from regfleet.fleet.model import Registry
from regfleet.pki.names import endpoint_host
from regfleet.registry_api.errors import Kind, RegistryError

_ENDED = (124, 143)  # timeout(1): of coreutils, of busybox
# Whoever hears that was let in as far as he may go.
_REACHED = {"not-there", "denied"}
_OF_NAMES = {"name-not-resolved", "wrong-address", "proxy"}
_NO_WAY = frozenset({"connection-refused", "no-answer", "registry-error"})
_ANYTHING = frozenset(causes()) - {"name-not-resolved", "orphan-pair", "proxy"}

_KINDS: Mapping[Kind, str] = {
    "refused": "registry-down",
    "timeout": "registry-silent",
    "untrusted": "server-other",
    "wrong-name": "wrong-name",
    "expired": "certificate-dates",
    "unauthorized": "password-differs",
    "not-a-registry": "not-a-registry",
}
# What may be the matter with its host when a registry gives no answer.
_STOPPING = {
    *("unreachable", "disk-full"),
    *("daemon-json", "flag-conflict", "unknown-key", "mirror-refused"),
    *("engine-down", "engine-stopped", "engine-silent", "engine-missing"),
}
# What clients get of it, when the root of it is this; of anything else no answer.
_FELT: Mapping[str, frozenset[str]] = {
    "port-taken": _ANYTHING,
    "not-a-registry": _ANYTHING,
    "server-other": frozenset({"unknown-authority", "wrong-name"}),
    "wrong-name": frozenset({"wrong-name"}),
    "certificate-dates": frozenset({"certificate-dates"}),
    "plain-server": frozenset({"plain-server"}),
    "tls-server": frozenset({"tls-server"}),
    "password-differs": frozenset({"unauthorized"}),
}


@dataclass(frozen=True, slots=True)
class Roots:
    """Why registries cannot be used, by registry; and who suffers from it."""

    symptoms: Mapping[str, Symptom]
    felt: dict[str, list[str]] = field(default_factory=dict)

    def take(self, registry: str, cause: str, host: str) -> bool:
        """Whether a client's symptom is a consequence; if so the client is noted."""
        root = self.symptoms.get(registry)
        if root is None or cause not in _FELT.get(root.cause, _NO_WAY):
            return False
        self.felt.setdefault(registry, []).append(host)
        return True

    def with_felt(self, symptoms: Iterable[Symptom]) -> Iterator[Symptom]:
        """The symptoms, with those who suffer from them."""
        for each in symptoms:
            of = [name for name, root in self.symptoms.items() if root is each]
            felt = [host for name in of for host in self.felt.get(name, ())]
            others = tuple(dict.fromkeys(name for name in felt if name != each.host))
            yield replace(each, felt_by=others) if others else each


def of_registry(
    case: Case, exam: RegistryExam, elsewhere: Iterable[Symptom]
) -> tuple[Symptom | None, Symptom | None]:
    """What is wrong with a registry.

    Args:
        elsewhere: what was found of hosts.

    Returns:
        What is to be said of it, if anything, and the root of its trouble, which may be the
        trouble of its host, and said already.
    """
    registry = case.fleet.registries[exam.name]
    host = registry.hosts[0].name if registry.hosts else ""
    of_host = [each for each in elsewhere if host and each.host == host]
    taken = next((s for s in of_host if (s.cause, s.registry) == ("port-taken", exam.name)), None)
    root = taken or next((s for s in of_host if s.cause in _STOPPING), None)
    if exam.error is None or not case.applied(host):
        return None, taken
    if root is not None and (root is taken or _is_away(exam.error)):
        return None, root
    if not isinstance(exam.error, RegistryError):
        return None, None  # its host cannot be reached, which is said of the host; or see `notes`
    own = _of_error(case, registry, host, exam, exam.error)
    return own, own


def _is_away(error: Exception) -> bool:
    if isinstance(error, RegistryError):
        return error.kind in ("refused", "timeout", "unreachable")
    return True


def _of_error(
    case: Case, registry: Registry, host: str, exam: RegistryExam, error: RegistryError
) -> Symptom | None:
    if registry.external and error.kind in ("refused", "timeout", "unreachable"):
        return None  # its clients may reach it all the same, and they are asked
    if error.kind == "unreachable":
        return None  # see `notes`
    cause = _KINDS.get(error.kind, "registry-error")
    if error.kind == "tls":
        told = recognise(error.message)
        known = told.cause.name if told else ""
        cause = known if known in ("plain-server", "tls-server") else "registry-error"
    found, said = error.message, ""
    if cause == "registry-down":
        found, said = _stopped(case, registry, host, error.message)
    values = {"user": f"user {exam.user}" if exam.user else "nobody"}
    if cause == "certificate-dates" and registry.tls.certificate:
        values["path"] = str(registry.tls.certificate)
    return Symptom(cause, host, found, registry.name, said, values)


def _stopped(case: Case, registry: Registry, host: str, message: str) -> tuple[str, str]:
    """What is known of a registry that nobody listens for: what was found, its last words."""
    exam, want = case.hosts.get(host), case.desired.get(host)
    if exam is None or want is None or exam.signs is None:
        return message, ""
    for container in want.containers:
        if container.registry == registry.name:
            state = exam.signs.states.get(container.name)
            if state is None:
                return f"there is no container {container.name} on {host}", ""
            word, _, code = state.partition(" ")
            found = f"the container {container.name} is {word} (exit code {code})"
            return found, exam.signs.last.get(container.name, "")
    return message, ""


def of_client(
    case: Case, exam: HostExam, roots: Roots, own: Iterable[Symptom]
) -> Iterator[Symptom]:
    """What stands between a client and its registries.

    Args:
        own: what is wrong with the host itself, and said already.
    """
    if exam.signs is None or exam.seen is None or not case.applied(exam.name):
        return
    said = {_subject(case, each) for each in own if each.host == exam.name}
    for each in exam.signs.tries:
        registry = case.by_endpoint(each.endpoint)
        symptom = _of_try(case, exam, registry, each) if registry else None
        if registry is None or symptom is None or _is_said(case, symptom, said):
            continue
        told = _told(each)
        if not roots.take(registry.name, told.cause.name if told else "", exam.name):
            said.add(_subject(case, symptom))
            yield symptom


def _subject(case: Case, symptom: Symptom) -> tuple[str, str]:
    """What a symptom is about: a name, whatever the port; else a registry, or the host."""
    registry = case.fleet.registries.get(symptom.registry)
    if symptom.cause in _OF_NAMES:
        name = endpoint_host(registry.endpoint) if registry else ""
        return symptom.cause, symptom.values.get("name", name)
    return symptom.cause, symptom.registry


def _is_said(case: Case, symptom: Symptom, said: Collection[tuple[str, str]]) -> bool:
    registry = case.fleet.registries[symptom.registry]
    name = endpoint_host(registry.endpoint)
    if symptom.cause in {*_NO_WAY, "wrong-address"} and ("name-not-resolved", name) in said:
        return True  # engines remember names for some seconds
    of_host = {"certificate-dates": "clock", "disk-full": "disk-full"}.get(symptom.cause)
    return (of_host, "") in said or _subject(case, symptom) in said


def _told(tried: Try) -> Recognised | None:
    told = recognise(tried.said)
    if told is None and tried.status in _ENDED:
        return Recognised(causes()["no-answer"], "no answer in time", {})
    return told


def _of_try(case: Case, exam: HostExam, registry: Registry, tried: Try) -> Symptom | None:
    """What a pull says, and what is known besides of why."""
    told = _told(tried)
    if told is None:
        if tried.status == 0:
            return None
        found = "the engine's words are not among those that are known"
        return Symptom("unexplained", exam.name, found, registry.name, tried.said)
    cause = told.cause.name
    if cause in _REACHED:
        return None
    judge = _JUDGES.get(cause, _as_told)
    symptom = judge(case, exam, registry, tried)
    return symptom and replace(symptom, said=tried.said or told.fragment)


def _as_told(
    case: Case, exam: HostExam, registry: Registry, tried: Try, cause: str = ""
) -> Symptom | None:
    del case
    told = _told(tried)
    if told is None:
        return None
    found = f"the engine there says so, asked as {tried.account}"
    # Of a message nothing but what the cause's own pattern has named: the rest is declared.
    known = ("key", "missing", "present", "image")
    values = {name: value for name, value in told.values.items() if name in known}
    values["account"] = tried.account
    return Symptom(cause or told.cause.name, exam.name, found, registry.name, values=values)


def _no_login(case: Case, exam: HostExam, registry: Registry, tried: Try) -> Symptom | None:
    """A login that is not sent, or refused; nobody has to be logged in who is not declared.

    Podman says the same in either case: the look has seen whether one is kept.
    """
    told = _told(tried)
    declared = _accounts(case, case.desired[exam.name], registry)
    if tried.account not in declared or exam.seen is None or told is None:
        return None
    kept = (tried.account, registry.endpoint) in exam.seen.logins
    if kept and told.cause.name == "unauthorized":
        return _as_told(case, exam, registry, tried)
    found = f"no login of {tried.account}'s was sent"
    values = {"account": tried.account}
    return Symptom("logged-out", exam.name, found, registry.name, values=values)


def _accounts(case: Case, want: DesiredHost, registry: Registry) -> set[str]:
    """Accounts whose login at a registry is declared; one that has none by account is root's."""
    if want.engine is None or ENGINES[want.engine].login_file:
        return {each.account for each in want.logins if each.endpoint == registry.endpoint}
    logins = [login for group in clients_of(case.fleet, want.name) for login in group.logins]
    return {ROOT for login in logins if login.registry == registry.name}


def _no_way(case: Case, exam: HostExam, registry: Registry, tried: Try) -> Symptom | None:
    """Refused, or no answer: a proxy in between, another address, or a firewall."""
    told, signs = _told(tried), exam.signs
    if told is None or signs is None:
        return None
    name = endpoint_host(registry.endpoint)
    tls = registry.tls.source != "none"
    proxy = proxy_of(signs.proxies, name, registry.port, tls=tls)
    if proxy:
        return _by_proxy(exam, registry, proxy)
    addresses = signs.names.get(name, ())
    found, cause = f"asked at {name}", told.cause.name
    if addresses:
        found = f"{name} leads to {', '.join(addresses)} there"
    if registry.hosts:
        home = registry.hosts[0]
        found += f"; the registry is on {home.name} ({home.address})"
        asked = case.registries.get(registry.name)
        if asked is not None and asked.error is None:
            found += ", and answers there"
            if addresses and is_address(home.address) and home.address not in addresses:
                cause = "wrong-address"
    return Symptom(cause, exam.name, found, registry.name)


def _proxy(case: Case, exam: HostExam, registry: Registry, tried: Try) -> Symptom | None:
    del case, tried
    proxies = exam.signs.proxies if exam.signs else {}
    proxy = proxies.get("https" if registry.tls.source != "none" else "http", "")
    return _by_proxy(exam, registry, proxy)


def _by_proxy(exam: HostExam, registry: Registry, proxy: str) -> Symptom:
    excepted = exam.signs.proxies.get("no", "") if exam.signs else ""
    found = f"it asks {proxy or 'a proxy'}; NO_PROXY is " + (excepted or "not set")
    return Symptom("proxy", exam.name, found, registry.name, values={"proxy": proxy})


def _authority(case: Case, exam: HostExam, registry: Registry, tried: Try) -> Symptom | None:
    """Not trusted: is the CA there, is it the fleet's, or is it another server?"""
    want, seen = case.desired[exam.name], exam.seen
    file = _ca_file(want, registry)
    if file is None or seen is None:
        return _as_told(case, exam, registry, tried)
    path, digest = file
    values = {"path": path}
    there = seen.paths.get(path)
    if there is None:
        return Symptom(
            "ca-missing", exam.name, f"{path} is not there", registry.name, values=values
        )
    if f"file {path}" in case.unknown.get(exam.name, ()):
        return _as_told(case, exam, registry, tried)
    if there.digest != digest:
        found = f"{path} is not the CA that is declared"
        return Symptom("ca-other", exam.name, found, registry.name, values=values)
    name = endpoint_host(registry.endpoint)
    addresses = exam.signs.names.get(name, ()) if exam.signs else ()
    found = f"the CA there is the fleet's, and does not fit; {name} leads to "
    return Symptom(
        "server-other", exam.name, found + (", ".join(addresses) or "nowhere"), registry.name
    )


def _ca_file(want: DesiredHost, registry: Registry) -> tuple[str, str] | None:
    """Path and digest of the file that makes a client trust a registry."""
    for file in want.files:
        directory, _, _ = file.path.rpartition("/")
        if directory.endswith(f"/certs.d/{registry.endpoint}"):
            return file.path, file.digest
    return None


def _plain(case: Case, exam: HostExam, registry: Registry, tried: Try) -> Symptom | None:
    """HTTP where HTTPS was asked for: is the engine not told, or the registry not as declared?"""
    if registry.tls.source != "none":
        return _as_told(case, exam, registry, tried)
    engine = case.desired[exam.name].engine
    found = "its engine is not told so"
    if engine and ENGINES[engine].is_docker and exam.seen is not None:
        found = "the running engine does not hold it among its insecure-registries"
        if registry.endpoint in exam.seen.engine.insecure:
            found = "the engine holds it insecure, and still asks by HTTPS"
    return Symptom("plain-missing", exam.name, found, registry.name)


_JUDGES = {
    "not-logged-in": _no_login,
    "unauthorized": _no_login,
    "connection-refused": _no_way,
    "no-answer": _no_way,
    "proxy": _proxy,
    "unknown-authority": _authority,
    "plain-server": _plain,
}


def notes(case: Case) -> Iterator[str]:
    """What could not be checked, and why; no finding by itself."""
    for name, exam in case.registries.items():
        error = exam.error
        if isinstance(error, RegistryError) and error.kind == "unreachable":
            registry = case.fleet.registries[name]
            if not registry.external and case.applied(registry.hosts[0].name):
                yield f"{name} was not asked from here: {error.message}"
        elif isinstance(error, UnreachableError) and error.host not in case.hosts:
            yield f"{name} was not asked from here: {error.message}"
    for name, exam_of_host in case.hosts.items():
        signs = exam_of_host.signs
        if signs is not None and not signs.complete:
            yield f"the examination of {name} ended early: not everything was checked there"
