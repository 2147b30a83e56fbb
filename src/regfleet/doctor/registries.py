"""Symptoms of registries as seen from this machine and from their clients. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from regfleet.desired.resolve import clients_of
from regfleet.doctor.case import Case, HostExam, RegistryExam
from regfleet.doctor.causes import Recognised, causes, recognise
from regfleet.doctor.finding import Symptom
from regfleet.doctor.program import NOBODY, ROOT, is_address
from regfleet.doctor.proxies import proxy_of
from regfleet.doctor.signs import Try
from regfleet.engines import ENGINES
from regfleet.errors import UnreachableError
from regfleet.fleet.registries import Registry
from regfleet.model.desired import DesiredHost
from regfleet.model.resource import Resource
from regfleet.pki.names import endpoint_host
from regfleet.registry_api.errors import Kind, RegistryError
from regfleet.services import KINDS

# What runs a service says of its state, in words; see `KIND_state` in services/KIND.doctor.sh.
_STATES: Mapping[str, str] = {
    "exited": "has exited with code {code}",
    "running": "runs, but does not answer there",
    "restarting": "exits and is started again and again, the last time with code {code}",
    "created": "was made, but never started",
}
_TIMEOUT_STATUSES = (124, 143)  # timeout(1): of coreutils, of busybox
# Answers that prove a login: the registry let the client in.
_LET_IN = {"not-there", "denied"}
_NAME_CAUSES = {"name-not-resolved", "wrong-address", "proxy"}
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
# Faults of its host that explain why a registry does not answer.
_HOST_CAUSES = {
    *("unreachable", "disk-full"),
    *("daemon-json", "flag-conflict", "unknown-key", "mirror-refused"),
    *("engine-down", "engine-stopped", "engine-silent", "engine-missing"),
}
# Why a registry may refuse the tokens of its gateway.
_OF_CLOCKS = ("clock", "gateway-clock")
# Root cause of a registry -> causes that its clients then report; for other roots `_NO_WAY`.
_FELT: Mapping[str, frozenset[str]] = {
    "port-taken": _ANYTHING,
    "not-a-registry": _ANYTHING,
    "server-other": frozenset({"unknown-authority", "wrong-name"}),
    "wrong-name": frozenset({"wrong-name"}),
    "certificate-dates": frozenset({"certificate-dates"}),
    "plain-server": frozenset({"plain-server"}),
    "tls-server": frozenset({"tls-server"}),
    "password-differs": frozenset({"unauthorized"}),
    **dict.fromkeys(_OF_CLOCKS, frozenset({"gateway-tokens"})),
}


@dataclass(frozen=True, slots=True)
class Roots:
    """The root symptom of each unusable registry, and the clients that it affects."""

    symptoms: Mapping[str, Symptom]
    felt: dict[str, list[str]] = field(default_factory=dict)

    def take(self, registry: str, cause: str, host: str) -> bool:
        """Whether a root explains a client's symptom; if so, the client counts as affected."""
        root = self.symptoms.get(registry)
        if root is None or cause not in _FELT.get(root.cause, _NO_WAY):
            return False
        self.felt.setdefault(registry, []).append(host)
        return True

    def with_felt(self, symptoms: Iterable[Symptom]) -> Iterator[Symptom]:
        """The symptoms with the hosts that they affect."""
        for each in symptoms:
            of = [name for name, root in self.symptoms.items() if root is each]
            felt = [host for name in of for host in self.felt.get(name, ())]
            others = tuple(dict.fromkeys(name for name in felt if name != each.host))
            yield replace(each, felt_by=others) if others else each


def of_registry(
    case: Case, exam: RegistryExam, elsewhere: Sequence[Symptom]
) -> tuple[Symptom | None, Symptom | None]:
    """The symptoms of a registry.

    Args:
        elsewhere: the symptoms of hosts, and of clocks.

    Returns:
        Its own symptom, if any; and its root, which may be a symptom of its host that is
        reported already.
    """
    registry = case.fleet.registries[exam.name]
    instance = registry.instance()
    host = instance.host.name if instance else ""
    of_host = [each for each in elsewhere if host and each.host == host]
    taken = next((s for s in of_host if (s.cause, s.registry) == ("port-taken", exam.name)), None)
    root = taken or next((s for s in of_host if s.cause in _HOST_CAUSES), None)
    if exam.error is None or not case.applied(host):
        return None, taken
    if root is not None and (root is taken or _is_away(exam.error)):
        return None, root
    if not isinstance(exam.error, RegistryError):
        return None, None  # the unreachable host is a symptom of its own; or see `notes`
    own = _error_symptom(case, registry, host, exam, exam.error)
    if own and own.cause == "gateway-tokens" and (root := _of_clocks(registry, elsewhere)):
        return None, root
    return own, own


def _of_clocks(registry: Registry, known: Iterable[Symptom]) -> Symptom | None:
    """A wrong clock among its machines, which is told already."""
    named = (each for each in known if each.cause in _OF_CLOCKS and each.host in registry.members)
    return next((each for each in named if each.registry in ("", registry.name)), None)


def _is_away(error: Exception) -> bool:
    if isinstance(error, RegistryError):
        return error.kind in ("refused", "timeout", "unreachable")
    return True


def _error_symptom(
    case: Case, registry: Registry, host: str, exam: RegistryExam, error: RegistryError
) -> Symptom | None:
    if registry.external and error.kind in ("refused", "timeout", "unreachable"):
        return None  # its clients may still reach it, and they are asked
    if error.kind == "unreachable":
        return None  # see `notes`
    cause = _KINDS.get(error.kind, "registry-error")
    told = recognise(error.message)
    if error.kind == "tls":
        known = told.cause.name if told else ""
        cause = known if known in ("plain-server", "tls-server") else "registry-error"
    if cause == "registry-error" and told and told.cause.name in _of_gateway(registry):
        cause = told.cause.name
    if cause == "registry-error" and registry.s3:
        cause = "bucket"  # it has hardly anything else that fails
    found, said = error.message, ""
    if cause == "registry-error" and (down := _stopped_instance(case, registry)):
        cause, host = "registry-down", down
    if cause == "registry-down":
        found, said = _stopped_service(case, registry, host, error.message)
        why = recognise(said)
        if why and why.cause.name == "gateway-njs":
            cause = why.cause.name
    values = {"user": f"user {exam.user}" if exam.user else "nobody"}
    if cause == "certificate-dates" and registry.tls.certificate:
        values["path"] = str(registry.tls.certificate)
    return Symptom(cause, host, found, registry.name, said, values)


def _of_gateway(registry: Registry) -> tuple[str, ...]:
    """Causes that a registry's gateway tells of itself."""
    return (
        ("gateway-behind", "gateway-login", "gateway-no-tokens")
        if registry.before
        else ("gateway-tokens",)
    )


def _stopped_instance(case: Case, registry: Registry) -> str:
    """Of a registry whose gateway answers for it, a host where it does not run; empty for none."""
    for host in registry.hosts if registry.spread else ():
        exam, want = case.hosts.get(host.name), case.desired.get(host.name)
        states = exam.signs.states if exam and exam.signs else None
        if want is None or states is None:
            continue
        its = (each.name for each in want.services if each.registry == registry.name)
        if not all(states.get(name, "").startswith("running") for name in its):
            return host.name
    return ""


def _stopped_service(case: Case, registry: Registry, host: str, message: str) -> tuple[str, str]:
    """The state of a registry that refuses connections, and the last line of its log."""
    exam, want = case.hosts.get(host), case.desired.get(host)
    if exam is None or want is None or exam.signs is None:
        return message, ""
    states = exam.signs.states
    services = [each for each in want.services if each.registry == registry.name]
    # Of a gateway and what is behind it, the first that does not run.
    services.sort(key=lambda each: states.get(each.name, "").startswith("running"))
    for service in services[:1]:
        named = f"{KINDS[service.kind].noun} {service.name}"
        state = states.get(service.name)
        if state is None:
            return f"there is no {named} on {host}", ""
        word, _, code = state.partition(" ")
        found = f"the {named} {_STATES.get(word, f'is {word}').format(code=code)}"
        return found, exam.signs.last.get(service.name, "")
    return message, ""


def of_client(
    case: Case, exam: HostExam, roots: Roots, own: Iterable[Symptom]
) -> Iterator[Symptom]:
    """Symptoms between a client and its registries.

    Args:
        own: the host's own symptoms, which are reported already.
    """
    if exam.signs is None or exam.seen is None or not case.applied(exam.name):
        return
    said = {_subject_of(case, each) for each in own if each.host == exam.name}
    for each in exam.signs.tries:
        registry = case.by_endpoint(each.endpoint)
        symptom = _pull_symptom(case, exam, registry, each) if registry else None
        if registry is None or symptom is None or _is_said(case, symptom, said):
            continue
        told = _recognised(each)
        if not roots.take(registry.name, told.cause.name if told else "", exam.name):
            said.add(_subject_of(case, symptom))
            yield symptom


def _subject_of(case: Case, symptom: Symptom) -> tuple[str, str]:
    """What a symptom concerns: a name, whatever the port; else a registry, or the host."""
    registry = case.fleet.registries.get(symptom.registry)
    if symptom.cause in _NAME_CAUSES:
        name = endpoint_host(registry.endpoint) if registry else ""
        return symptom.cause, symptom.values.get("name", name)
    return symptom.cause, symptom.registry


def _is_said(case: Case, symptom: Symptom, said: Collection[tuple[str, str]]) -> bool:
    registry = case.fleet.registries[symptom.registry]
    name = endpoint_host(registry.endpoint)
    if symptom.cause in {*_NO_WAY, "wrong-address"} and ("name-not-resolved", name) in said:
        return True  # engines cache names for some seconds
    of_host = {"certificate-dates": "clock", "disk-full": "disk-full"}.get(symptom.cause)
    return (of_host, "") in said or _subject_of(case, symptom) in said


def _recognised(tried: Try) -> Recognised | None:
    told = recognise(tried.said)
    if told is None and tried.status in _TIMEOUT_STATUSES:
        return Recognised(causes()["no-answer"], "no answer in time", {})
    return told


def _pull_symptom(case: Case, exam: HostExam, registry: Registry, tried: Try) -> Symptom | None:
    """The symptom that a pull shows, with further facts about its reason."""
    told = _recognised(tried)
    if told is None:
        if tried.status == 0:
            return None
        found = "the engine's message matches no known cause"
        return Symptom("unexplained", exam.name, found, registry.name, tried.said)
    cause = told.cause.name
    if cause in _LET_IN:
        return None
    judge = _JUDGES.get(cause, _as_reported)
    symptom = judge(case, exam, registry, tried)
    return symptom and replace(symptom, said=tried.said or told.fragment)


def _as_reported(
    case: Case, exam: HostExam, registry: Registry, tried: Try, cause: str = ""
) -> Symptom | None:
    del case
    told = _recognised(tried)
    if told is None:
        return None
    who = "without a login" if tried.account == NOBODY else f"as {tried.account}"
    found = f"the engine reports it, asked {who}"
    # From the message only placeholders of the cause's own pattern; other values are declared.
    known = ("key", "missing", "present", "image", "path")
    values = {name: value for name, value in told.values.items() if name in known}
    values["account"] = tried.account
    return Symptom(cause or told.cause.name, exam.name, found, registry.name, values=values)


def _judge_login(case: Case, exam: HostExam, registry: Registry, tried: Try) -> Symptom | None:
    """A declared login that is not sent, or is refused.

    Podman reports both cases alike: the look shows whether a login is stored.
    """
    told = _recognised(tried)
    declared = _declared_accounts(case, case.desired[exam.name], registry)
    if tried.account not in declared or exam.seen is None or told is None:
        return None
    kept = (tried.account, registry.endpoint) in exam.seen.logins
    if kept and told.cause.name == "unauthorized":
        return _as_reported(case, exam, registry, tried)
    found = f"no login of {tried.account}'s was sent"
    values = {"account": tried.account}
    return Symptom("logged-out", exam.name, found, registry.name, values=values)


def _declared_accounts(case: Case, want: DesiredHost, registry: Registry) -> set[str]:
    """Accounts with a declared login at a registry; root for engines without login files."""
    if want.engine is None or ENGINES[want.engine].login_file:
        return {each.account for each in want.logins if each.endpoint == registry.endpoint}
    logins = [login for group in clients_of(case.fleet, want.name) for login in group.logins]
    return {ROOT for login in logins if login.registry == registry.name}


def _judge_no_connection(
    case: Case, exam: HostExam, registry: Registry, tried: Try
) -> Symptom | None:
    """Connection refused or no answer: a proxy, a wrong address, or a firewall."""
    told, signs = _recognised(tried), exam.signs
    if told is None or signs is None:
        return None
    name = endpoint_host(registry.endpoint)
    tls = registry.tls.source != "none"
    proxy = proxy_of(signs.proxies, name, registry.port, tls=tls)
    if proxy:
        return _proxy_symptom(exam, registry, proxy)
    addresses = signs.names.get(name, ())
    found, cause = f"asked at {name}", told.cause.name
    if addresses:
        found = f"{name} leads to {', '.join(addresses)} there"
    homes = [each.host for each in registry.instances]
    if homes:
        found += "; the registry is on " + ", ".join(
            f"{each.name} ({each.address})" for each in homes
        )
        asked = case.registries.get(registry.name)
        if asked is not None and asked.error is None:
            found += ", and answers there"
            known = {each.address for each in homes}
            if addresses and all(map(is_address, known)) and known.isdisjoint(addresses):
                cause = "wrong-address"
    return Symptom(cause, exam.name, found, registry.name)


def _judge_proxy(case: Case, exam: HostExam, registry: Registry, tried: Try) -> Symptom | None:
    del case, tried
    proxies = exam.signs.proxies if exam.signs else {}
    proxy = proxies.get("https" if registry.tls.source != "none" else "http", "")
    return _proxy_symptom(exam, registry, proxy)


def _proxy_symptom(exam: HostExam, registry: Registry, proxy: str) -> Symptom:
    excepted = exam.signs.proxies.get("no", "") if exam.signs else ""
    found = f"it asks {proxy or 'a proxy'}; NO_PROXY is " + (excepted or "not set")
    return Symptom("proxy", exam.name, found, registry.name, values={"proxy": proxy})


def _judge_authority(case: Case, exam: HostExam, registry: Registry, tried: Try) -> Symptom | None:
    """Certificate not trusted: the CA is missing, is another one, or the server is another one."""
    want, seen = case.desired[exam.name], exam.seen
    file = _ca_file(want, registry)
    if file is None or seen is None:
        return _as_reported(case, exam, registry, tried)
    path, digest = file
    values = {"path": path}
    there = seen.paths.get(path)
    if there is None:
        return Symptom("ca-missing", exam.name, f"{path} is missing", registry.name, values=values)
    if Resource("file", path) in case.unknown.get(exam.name, ()):
        return _as_reported(case, exam, registry, tried)
    if there.digest != digest:
        found = f"{path} is not the declared CA"
        return Symptom("ca-other", exam.name, found, registry.name, values=values)
    name = endpoint_host(registry.endpoint)
    addresses = exam.signs.names.get(name, ()) if exam.signs else ()
    found = f"the CA file is the fleet's, but did not sign this server; {name} leads to "
    return Symptom(
        "server-other", exam.name, found + (", ".join(addresses) or "nowhere"), registry.name
    )


def _ca_file(want: DesiredHost, registry: Registry) -> tuple[str, str] | None:
    """Path and digest of the CA file that a client trusts a registry by."""
    for file in want.files:
        directory, _, _ = file.path.rpartition("/")
        if directory.endswith(f"/certs.d/{registry.endpoint}"):
            return file.path, file.digest
    return None


def _judge_plain(case: Case, exam: HostExam, registry: Registry, tried: Try) -> Symptom | None:
    """HTTP instead of HTTPS: the engine lacks the setting, or the registry is not as declared."""
    if registry.tls.source != "none":
        return _as_reported(case, exam, registry, tried)
    engine = case.desired[exam.name].engine
    found = "its engine is not configured for HTTP"
    if engine and ENGINES[engine].is_docker and exam.seen is not None:
        found = "it is not among the running engine's insecure-registries"
        if registry.endpoint in exam.seen.engine.insecure:
            found = "it is among the engine's insecure-registries, but the engine uses HTTPS"
    return Symptom("plain-missing", exam.name, found, registry.name)


_JUDGES = {
    "not-logged-in": _judge_login,
    "unauthorized": _judge_login,
    "connection-refused": _judge_no_connection,
    "no-answer": _judge_no_connection,
    "proxy": _judge_proxy,
    "unknown-authority": _judge_authority,
    "plain-server": _judge_plain,
}


def notes(case: Case) -> Iterator[str]:
    """What could not be checked, and why; these are no findings."""
    for name, exam in case.registries.items():
        error = exam.error
        if isinstance(error, RegistryError) and error.kind == "unreachable":
            instance = case.fleet.registries[name].instance()
            if instance and case.applied(instance.host.name):
                yield f"{name} was not asked from here: {error.message}"
        elif isinstance(error, UnreachableError) and error.host not in case.hosts:
            yield f"{name} was not asked from here: {error.message}"
    for name, exam_of_host in case.hosts.items():
        signs = exam_of_host.signs
        if signs is not None and not signs.complete:
            yield f"the examination of {name} ended early: not everything was checked there"
