"""Symptoms of a single host, independent of the registries it uses. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from regfleet.doctor.case import Case, HostExam
from regfleet.doctor.causes import recognise
from regfleet.doctor.finding import Symptom
from regfleet.doctor.program import proxies
from regfleet.doctor.signs import Signs
from regfleet.documents.interface import NotReadableError, parts
from regfleet.documents.json_document import NotJsonError
from regfleet.engines import ENGINES, docker_boot, docker_flags, docker_json, docker_start
from regfleet.engines import docker_facts as facts
from regfleet.errors import UnreachableError
from regfleet.model.desired import DesiredHost, WantedSettings
from regfleet.model.observed import ObservedHost
from regfleet.pki.names import endpoint_host
from regfleet.record import DAEMON_JSON

MOST_SKEW = 60  # seconds, as for `status`
LEAST_FREE = 100 * 1024  # KiB; a small image's layers
LEAST_INODES = 1000
_KIB_PER_MIB = 1024
_DIFFERING_CLOCKS = 5  # seconds, between looks at hosts whose clocks agree
_URL_LOGIN = re.compile(r"://[^/@\s]*@")
# Flags that dockerd accepts beside their key (moby daemon/config/config.go, skipDuplicates).
_FLAG_AND_KEY = {"runtimes"}
# Causes that keep dockerd from starting and appear in its log.
_STOPPING_CAUSES = ("unknown-key", "disk-full", "mirror-refused")


def of_host(case: Case, exam: HostExam) -> Iterator[Symptom]:
    """The symptoms of a host."""
    if exam.error is not None:
        unreachable = isinstance(exam.error, UnreachableError) or not exam.reached
        cause = "unreachable" if unreachable else "not-looked-at"
        fix = (exam.error.hint,) if exam.error.hint else ()
        yield Symptom(cause, exam.name, exam.error.message, fix=fix)
        return
    if exam.seen is None or exam.signs is None:
        return
    want = case.desired[exam.name]
    yield from _disks(exam.name, exam.signs)
    engine = [*_configuration(exam.seen, exam.signs, want), *_image_symptoms(want, exam.signs)]
    yield from engine
    causes = {each.cause for each in engine}
    stopped = [*_engine(case, exam.seen, exam.signs, want), *_other_engine(exam.seen, want)]
    if not causes & {"daemon-json", "unknown-key", "flag-conflict"}:
        yield from stopped
    yield from _ports(case, exam.seen, exam.signs, want)
    yield from _orphan_pairs(case, exam.name, exam.signs)
    yield from _unresolved_names(case, exam.name, exam.signs)
    yield from _unreached_proxies(case, exam.name, exam.signs)
    if exam.refused is not None and not causes and not stopped:
        hint = (exam.refused.hint,) if exam.refused.hint else ()
        yield Symptom("refused", exam.name, exam.refused.message, fix=hint)


def clocks(case: Case) -> Iterator[Symptom]:
    """Wrong clocks: those of hosts; or this machine's, if all hosts agree."""
    looked = [exam for exam in case.hosts.values() if exam.seen is not None]
    wrong = [exam for exam in looked if abs(exam.skew) > MOST_SKEW]
    skews = [exam.skew for exam in wrong]
    if len(wrong) > 1 and wrong == looked and max(skews) - min(skews) <= _DIFFERING_CLOCKS:
        way = "behind" if skews[0] > 0 else "ahead of"
        found = f"it is {abs(skews[0])} s {way} the clocks of all {len(wrong)} hosts"
        values = {"host": "this machine", "hosts": "this machine"}
        yield Symptom("clock", "", found, values=values)
        return
    for exam in wrong:
        way = "ahead of" if exam.skew > 0 else "behind"
        yield Symptom("clock", exam.name, f"it is {abs(exam.skew)} s {way} this machine's")


def gateway_clocks(case: Case) -> Iterator[Symptom]:
    """Clocks of a registry's machines that differ too much for tokens that gateways there sign.

    A registry takes a token for a minute before and after its time (distribution, registry/auth/
    token/token.go, Leeway), and so does a gateway alone (njs/tokens.js). What `clocks` tells of is
    left out: so these two are on either side of this machine's, and what they are apart is what
    their differences from it are together, at least.
    """
    for registry in case.fleet.registries.values():
        exams = [case.hosts.get(each.name) for each in registry.machines]
        skews = {
            exam.name: exam.skew
            for exam in exams
            if exam and exam.seen is not None and abs(exam.skew) <= MOST_SKEW
        }
        if registry.gateway is None or not skews:
            continue
        fast, slow = max(skews, key=skews.__getitem__), min(skews, key=skews.__getitem__)
        apart = skews[fast] - skews[slow]
        if apart > MOST_SKEW:
            found = f"the clock of {fast} is {apart} s ahead of that of {slow}"
            yield Symptom("gateway-clock", fast, found, registry.name, values={"other": slow})


def without_logins(text: str) -> str:
    """A text without users and passwords in URLs."""
    return _URL_LOGIN.sub("://***@", text)


def _disks(name: str, signs: Signs) -> Iterator[Symptom]:
    for disk in signs.disks:
        path = {"path": disk.mount}
        if disk.free < LEAST_FREE:
            size = f"{disk.free // _KIB_PER_MIB} MiB" if disk.free else "nothing"
            yield Symptom("disk-full", name, f"{disk.mount}: {size} free", values=path)
        elif disk.inodes is not None and disk.inodes < LEAST_INODES:
            found = f"{disk.mount}: {disk.inodes} inodes free: no more files can be created"
            yield Symptom("disk-full", name, found, values=path)


def _configuration(seen: ObservedHost, signs: Signs, want: DesiredHost) -> Iterator[Symptom]:
    """Faults in daemon.json, and conflicts with the flags of dockerd."""
    path = {"path": seen.engine.config}
    try:
        document = docker_json.read(seen).tree()
    except NotJsonError as error:
        found = f"{seen.engine.config}: {without_logins(str(error))}"
        yield Symptom("daemon-json", want.name, found, said=_last_words(signs), values=path)
        return
    except NotReadableError:
        return  # dockerd reads it, and the plan says why it cannot be edited
    for key in document:
        if key in facts.FLAG_KEYS and len(key) > 1:
            found = f'"{key}" in {seen.engine.config}'
            values = {"key": key, "plural": facts.FLAG_KEYS[key]}
            yield Symptom("ignored-key", want.name, found, values=values)
    nested = document.get("proxies")
    there = {*document, *(nested if isinstance(nested, dict) else ())} - _FLAG_AND_KEY
    settings = want.edits.get(DAEMON_JSON, WantedSettings())
    declared = {parts(key)[0] for key in (*settings.lists, *settings.values)} - _FLAG_AND_KEY
    if docker_start.of(seen).stale:
        yield Symptom(
            "units-unread", want.name, "systemd has not read changed files of docker.service"
        )
    for flag in docker_flags.conflicts(seen, sorted(there | declared)):
        key = flag.key
        where = f'"{key}" in {seen.engine.config}' if key in there else f'"{key}" is declared'
        file = flag.file or "the running dockerd's command line"
        values = {"key": key, "flag": flag.name, "path": file}
        found = f"{flag.name} in {file}, {where}"
        yield Symptom("flag-conflict", want.name, found, said=_last_words(signs), values=values)


def _image_symptoms(want: DesiredHost, signs: Signs) -> Iterator[Symptom]:
    """Images that cannot be pulled, because of a rate limit or for another reason."""
    name = want.name
    tables = {
        each.image.reference: f"registry.{each.registry}" for each in want.services if each.image
    }
    if signs.limited:
        yield Symptom("rate-limit", name, "the engine's log shows it", said=signs.limited)
    for image, said in signs.offers.items():
        told = recognise(said)
        cause = "rate-limit" if told and told.cause.name == "rate-limit" else "image-unavailable"
        found = f"{image} is not on the host, and its engine cannot pull it"
        values = {"image": image, "table": tables.get(image, "smoke")}
        yield Symptom(cause, name, found, said=said, values=values)


def _engine(case: Case, seen: ObservedHost, signs: Signs, want: DesiredHost) -> Iterator[Symptom]:
    engine = seen.engine
    if want.engine is None or not any(ENGINES[name].is_docker for name in want.engines):
        return
    if engine.state == "missing" and (case.applied(want.name) or not want.install):
        found = f"there is {engine.detail}, and no dockerd" if engine.detail else "no dockerd"
        yield Symptom("engine-missing", want.name, found)
        return
    if (trouble := docker_boot.not_at_boot(want, seen)) and case.applied(want.name):
        cause = "engine-masked" if engine.boot == "masked" else "engine-disabled"
        yield Symptom(cause, want.name, trouble[0], values={"command": trouble[1]})
    told = next(filter(None, map(recognise, signs.words)), None)
    known = told if told is not None and told.cause.name in _STOPPING_CAUSES else None
    # systemd starts an engine that ends again: the look may find its process, which is no answer.
    ends = engine.state == "silent" and signs.starting and known is not None
    if (engine.state == "down" or ends) and case.applied(want.name):
        cause = "engine-stopped" if signs.stopped else "engine-down"
        yield Symptom(
            known.cause.name if known else cause,
            want.name,
            "it ends at each start" if ends else "it does not run",
            said=_last_words(signs),
            values=known.values if known else {},
        )
    elif engine.state == "silent":
        yield Symptom("engine-silent", want.name, engine.detail or "no answer in time")


def _other_engine(seen: ObservedHost, want: DesiredHost) -> Iterator[Symptom]:
    """Symptoms of a client's engine other than Docker."""
    if want.engine is None or ENGINES[want.engine].is_docker:
        return
    engine = seen.others.get(ENGINES[want.engine].shell)
    if engine is None:
        return
    values = {"service": want.engine}
    if engine.state == "missing" and not want.install:
        yield Symptom("engine-missing", want.name, f"no {want.engine}")
    elif engine.state == "down":
        yield Symptom("engine-down", want.name, f"{want.engine} does not run", values=values)
    elif engine.state == "silent":
        found = engine.detail or f"{want.engine} does not answer"
        yield Symptom("engine-silent", want.name, found, values=values)


def _last_words(signs: Signs) -> str:
    return without_logins(signs.words[-1]) if signs.words else ""


def _ports(case: Case, seen: ObservedHost, signs: Signs, want: DesiredHost) -> Iterator[Symptom]:
    for service in want.services:
        there = seen.services.get(service.name)
        who = signs.ports.get(service.where, "")
        if not who or (there and there.running):
            continue
        registry = case.fleet.registries[service.registry]
        program, _, pid = who.partition(" ")
        holder = f"{program} (process {pid})" if pid else "an unknown process"
        values = {"port": str(service.port)}
        found = f"{holder} listens there"
        yield Symptom("port-taken", want.name, found, registry.name, values=values)


def _orphan_pairs(case: Case, name: str, signs: Signs) -> Iterator[Symptom]:
    """Client certificates without their key, or keys alone: Docker then refuses the registry.

    See moby registry/registry.go, loadTLSConfig. HTTP registries are not affected.
    """
    for directory, files in signs.certificates.items():
        registry = case.by_endpoint(directory.rpartition("/")[2])
        if registry is None or registry.tls.source == "none":
            continue
        for file in files:
            stem, dot, kind = file.rpartition(".")
            other = {"cert": "key", "key": "cert"}.get(kind if dot else "")
            if other and f"{stem}.{other}" not in files:
                values = {"present": file, "missing": f"{stem}.{other}"}
                found = f"{directory} has {file}, and no {stem}.{other}"
                yield Symptom("orphan-pair", name, found, registry.name, values=values)


def _unreached_proxies(case: Case, name: str, signs: Signs) -> Iterator[Symptom]:
    tables = proxies(case.fleet, name)
    for place, said in signs.unreached.items():
        if place in tables:
            values = {"proxy": place, "url": f"http://{place}/", "table": tables[place]}
            found = said or "no answer in time"
            yield Symptom("proxy-unreachable", name, found, values=values)


def _unresolved_names(case: Case, name: str, signs: Signs) -> Iterator[Symptom]:
    for wanted, addresses in signs.names.items():
        if addresses:
            continue
        registry = next(
            (
                each
                for each in case.fleet.registries.values()
                if endpoint_host(each.endpoint) == wanted
            ),
            None,
        )
        yield Symptom(
            "name-not-resolved" if registry else "mirror-not-resolved",
            name,
            f"`getent hosts {wanted}` gives nothing there",
            registry.name if registry else "",
            values={"name": wanted},
        )
