"""A host in memory: does what a plan's steps say, in the touch's order, and can be looked at.

It knows what a real one would not forgive: a file without its directory, a container whose port is
taken, a reload that keeps the old value of a key that left the file, a changed file under a plan.
"""

import hashlib
import json
from pathlib import PurePosixPath

from making import engine, observed, seen_container

from regfleet import record
from regfleet.engines.docker_facts import RELOADABLE
from regfleet.look.request import login_digest
from regfleet.model.observed import ObservedPath
from regfleet.model.plan import (
    ActivateDocker,
    EditFile,
    InstallEngine,
    LoadImage,
    LogIn,
    LogOut,
    MakeDirectory,
    PullImage,
    PutFile,
    RemoveImage,
    RemovePath,
    RemoveService,
    RunService,
    SettleDocker,
    StartEngine,
    StartService,
)

CONFIG = "/etc/docker/daemon.json"
SHOWN = {"debug": False, "live-restore": False}  # what the daemon shows, and when nothing is said


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class HostModel:
    def __init__(self, files=None, daemon_json=None, state="up"):
        self.files = dict(files or {})  # path -> (content, mode)
        self.directories = {}  # path -> mode
        for path in [*self.files, "/etc/x", "/var/lib/x"]:
            self._make_parents(path)
        self.daemon_json = daemon_json
        self.state = state
        self.live = json.loads(daemon_json or "{}") if state == "up" else {}
        self.record = None
        self.originals = {}
        self.containers = {}  # name -> container, running
        self.images = set()
        self.logins = {}  # (account, endpoint) -> LoginEntry
        self.installed = False

    def content(self):
        """What was there before us has to be so again."""
        return {
            "files": dict(self.files),
            "directories": dict(self.directories),
            "daemon": self.daemon_json,
            "services": dict(self.containers),
            "logins": dict(self.logins),
            "images": set(self.images),
            "originals": dict(self.originals),
            "record": self.record,
        }

    # ---- the look ----

    def look(self, want, salt):
        paths = {}
        for path in [item.path for item in (*want.directories, *want.files)]:
            if path in self.directories:
                paths[path] = ObservedPath(path, True, self.directories[path], (0, 0), "")
            elif path in self.files:
                content, mode = self.files[path]
                paths[path] = ObservedPath(path, False, mode, (0, 0), sha256(content))
        up = self.state == "up"
        shown = {key: self.live.get(key, default) for key, default in SHOWN.items()}
        return observed(
            paths=paths,
            daemon_json=self.daemon_json,
            original=self.originals.get(CONFIG),
            record=self.record,
            owned=record.parse(self.record),
            engine=engine(
                self.state,
                insecure=frozenset(self.live.get("insecure-registries", ())) if up else frozenset(),
                mirrors=tuple(self._live_mirrors()) if up else (),
                values=shown if up else {},
                running=sum(running for _, running in self.containers.values()) if up else 0,
                live_restore=shown["live-restore"] if up else False,
            ),
            services={
                each.name: seen_container(
                    each.name,
                    self.containers[each.name][1],
                    each.image.reference,
                    self.containers[each.name][0].specification,
                    self.containers[each.name][0].fleet,
                )
                for each in want.services
                if each.name in self.containers and up
            },
            images=dict.fromkeys(self.images, "sha256:1") if up else {},
            logins={
                (login.account, login.endpoint): login_digest(
                    self.logins[login.account, login.endpoint], salt
                )
                for login in want.logins
                if (login.account, login.endpoint) in self.logins
            },
        )

    # ---- the touch ----

    def apply(self, plan):
        for path, digest in plan.expected:
            assert self._digest(path) == digest, f"{path} changed since the plan"
        staging = (InstallEngine, MakeDirectory, PutFile, EditFile)
        early = [
            step
            for step in plan.steps
            if isinstance(step, staging) or (isinstance(step, RemovePath) and not step.directory)
        ]
        for step in early:
            self._step(step)
        self.record = plan.record or None
        assert list(plan.steps[: len(early)]) == early
        for step in plan.steps[len(early) :]:
            self._step(step)
        if self.record is None:
            self.originals = {}

    def _step(self, step):  # noqa: C901, PLR0912, PLR0915 - a case for each kind of step
        match step:
            case InstallEngine():
                assert self.state == "missing"
                self.state, self.installed = "up", True
                self.directories.setdefault("/etc/docker", 0o755)
                self.live = json.loads(self.daemon_json or "{}")
            case StartEngine():
                assert self.state == "down"
                self.state, self.live = "up", json.loads(self.daemon_json or "{}")
            case MakeDirectory(directory):
                self._make_parents(directory.path)
                self.directories[directory.path] = directory.mode
            case PutFile(file, foreign):
                assert str(PurePosixPath(file.path).parent) in self.directories
                if foreign and file.path in self.files:
                    self.originals.setdefault(file.path, self.files[file.path])
                self.files[file.path] = (file.content, file.mode)
            case EditFile(path, content, foreign=foreign):
                assert path == CONFIG
                assert str(PurePosixPath(path).parent) in self.directories
                if foreign:
                    self.originals[path] = self.daemon_json
                self.daemon_json = content
            case RemovePath(path, directory=False) if path == CONFIG:
                self.daemon_json = self.originals.pop(path, None)
            case RemovePath(path, directory=False):
                self.files.pop(path, None)
                if path in self.originals:
                    self.files[path] = self.originals.pop(path)
            case RemovePath(path, directory=True):
                inside = [
                    each for each in (*self.files, *self.directories) if each.startswith(f"{path}/")
                ]
                if not inside:
                    self.directories.pop(path, None)
            case ActivateDocker():
                self._activate(step)
            case SettleDocker():
                pass
            case LoadImage(image):
                assert self.state == "up"
                self.images.add(image.reference)
            case PullImage(image):
                self.images.add(image.reference)
            case RunService(container):
                assert self.state == "up"
                assert container.image.reference in self.images
                taken = {
                    each.port
                    for name, (each, _) in self.containers.items()
                    if name != container.name
                }
                assert container.port not in taken
                self.containers[container.name] = (container, True)
            case StartService(container):
                self.containers[container.name] = (container, True)
            case RemoveService(name, _):
                assert self.state == "up"
                self.containers.pop(name, None)
            case RemoveImage(reference):
                used = {each.image.reference for each, _ in self.containers.values()}
                if reference not in used:
                    self.images.discard(reference)
            case LogIn(login):
                self.logins[login.account, login.endpoint] = login
            case LogOut(account, endpoint):
                self.logins.pop((account, endpoint), None)
            case _:
                raise AssertionError(step)

    def _activate(self, step):
        file = json.loads(step.meanwhile or self.daemon_json or "{}")
        if step.how == "none":
            assert self.state != "up"
            return
        assert self.state == "up"
        if step.how == "restart":
            self.live = file
        else:
            self.live |= {key: value for key, value in file.items() if key in RELOADABLE}
        shows = {f"insecure {entry}" for entry in self.live.get("insecure-registries", ())}
        shows |= {f"mirror {url}" for url in self._live_mirrors()}
        shows |= {
            f"{key} {str(self.live.get(key, default)).lower()}" for key, default in SHOWN.items()
        }
        assert set(step.expect) <= shows
        assert not set(step.refuse) & shows

    def _live_mirrors(self):
        return [url.rstrip("/") + "/" for url in self.live.get("registry-mirrors", ())]

    def _make_parents(self, path):
        for parent in PurePosixPath(path).parents:
            self.directories.setdefault(str(parent), 0o755)

    def _digest(self, path):
        texts = {CONFIG: self.daemon_json, record.PATH: self.record}
        if path in texts:
            return "absent" if texts[path] is None else sha256(texts[path].encode())
        return sha256(self.files[path][0]) if path in self.files else "absent"
