"""Tests, from this machine, that a registry enforces roles; part of the smoke test.

A tiny image goes into a repository of its own in a project, and out again. Each check asks with the
password of a declared user: what that user may not do has to be refused by 403, and what that user
may do has to work. One project that is not public is tested, and one that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from regfleet.fleet.registries import Project, Registry
from regfleet.model.checks import Check, Verdict
from regfleet.registry_api import tiny
from regfleet.registry_api.answers import MANIFEST_TYPES, Answer
from regfleet.registry_api.client import RegistryClient
from regfleet.registry_api.errors import RegistryError, only_registry_errors
from regfleet.registry_api.target import Credentials, Target
from regfleet.roles import GRANTED, NOTHING, Actions, place_in, rights, who_may
from regfleet.secret import Secret

Finding = tuple[Verdict, str]

_REPOSITORY = "regfleet-smoke/roles"  # below a project
_MOST_SCENES = 50  # projects that are looked at for one to test
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404


def role_checks(
    registry: Registry, target: Target, passwords: Mapping[str, Secret], token: str
) -> tuple[Check, ...]:
    """Every check of a role that some declared user has; none where there are no projects.

    Args:
        registry: one with projects.
        target: the registry and the way to it.
        passwords: by user; users without a known password are left out.
        token: this run's own; the tag of what is pushed.
    """
    if not registry.projects:
        return ()
    asked = _Asked(registry, target, passwords, token)
    found: list[Check] = []
    for public in (False, True):
        scene = _scene(registry, tuple(passwords), public=public)
        if scene is None:
            continue
        try:
            with only_registry_errors(target.endpoint):
                found += asked.play(scene)
        except RegistryError as error:
            name = "public-project" if public else "private-project"
            found.append(asked.check(name, ("failed", f"could not be tried: {error.message}")))
    found += asked.catalog()
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Scene:
    """A project that is tested, and who plays in it; empty for nobody.

    Attributes:
        pusher: the user of the least rights who may push.
        guest: one who may pull and no more.
        stranger: one who may do nothing there.
        deleter: the user of the least rights who may delete.
    """

    project: Project
    repository: str
    pusher: str
    guest: str
    stranger: str
    deleter: str

    @property
    def worth(self) -> tuple[bool, ...]:
        """What it shows, the most important first."""
        seen = (self.pusher, self.guest, self.deleter)
        return tuple(map(bool, seen if self.project.public else (*seen, self.stranger)))


def _scene(registry: Registry, users: tuple[str, ...], *, public: bool) -> _Scene | None:
    """The project, public or not, that shows the most, or the first that shows everything."""
    best = None
    for scene in islice(_scenes(registry, users, public=public), _MOST_SCENES):
        if best is None or scene.worth > best.worth:
            best = scene
        if all(scene.worth):
            break
    return best


def _scenes(registry: Registry, users: tuple[str, ...], *, public: bool) -> Iterator[_Scene]:
    for project in registry.projects:
        repository = place_in(registry, project, _REPOSITORY)
        if project.public != public or not repository:
            continue
        yield _Scene(
            project,
            repository,
            pusher=who_may(registry, users, repository, "push"),
            guest=_who_has(registry, users, repository, GRANTED["guest"]),
            stranger=_who_has(registry, users, repository, NOTHING),
            deleter=who_may(registry, users, repository, "delete"),
        )


def _who_has(registry: Registry, users: Iterable[str], repository: str, exactly: Actions) -> str:
    return next((user for user in users if rights(registry, user, repository) == exactly), "")


@dataclass(frozen=True, slots=True)
class _Asked:
    registry: Registry
    target: Target
    passwords: Mapping[str, Secret]
    token: str

    def client(self, user: str) -> RegistryClient:
        """A connection as a user; without a login for an empty name."""
        credentials = Credentials(user, self.passwords[user]) if user else None
        return RegistryClient(self.target, credentials)

    def check(self, name: str, finding: Finding) -> Check:
        return Check(f"{self.registry.name}/{name}", *finding)

    def play(self, scene: _Scene) -> Iterator[Check]:
        """The checks of one project; what was pushed goes, whatever they find."""
        image = tiny.make(f"{self.token} {scene.project.name}", ("amd64",))
        # What nobody could delete again is not pushed: then a push is begun, and no more.
        whole = bool(scene.pusher and scene.deleter and self.registry.delete)
        there = False
        try:
            if scene.pusher:
                finding = self.pushed(scene, image) if whole else self.begun(scene)
                there = whole and finding[0] == "passed"
                yield self.check(f"{_kind(scene)}-push", finding)
            yield from self.pulls(scene, there=there)
            yield from self.refusals(scene, image, there=there)
        finally:
            if whole and not there:  # a part of it may have arrived
                with suppress(RegistryError), self.client(scene.deleter) as client:
                    client.delete(scene.repository, image.digest)
        if there:
            yield self.check(f"{_kind(scene)}-delete", self.deleted(scene, image))

    def pushed(self, scene: _Scene, image: tiny.Tiny) -> Finding:
        """A user with a role that allows it pushes."""
        who = self.named(scene, scene.pusher)
        with self.client(scene.pusher) as client:
            try:
                tiny.push(client, scene.repository, self.token, image)
            except RegistryError as error:
                return "failed", f"{who}: {error.message}"
        return "passed", who

    def begun(self, scene: _Scene) -> Finding:
        who = self.named(scene, scene.pusher)
        answer = self.upload(scene, scene.pusher)
        if answer.status != 202:  # noqa: PLR2004
            return "failed", f"{who}: an upload is answered with {answer.status}"
        return "passed", f"{who}; begun alone, for nobody could delete it again"

    def pulls(self, scene: _Scene, *, there: bool) -> Iterator[Check]:
        """Who may pull and who may not; a pull is let through where the image is found, or not."""
        if scene.project.public:
            yield self.check("public-pull", self.may_pull(scene, "", there=there))
        else:
            answer = self.manifest(scene, "")
            yield self.check("private-pull-refused", _refused(answer, "without a login", 401))
        if scene.guest and not scene.project.public:
            yield self.check("guest-pull", self.may_pull(scene, scene.guest, there=there))
        if scene.stranger:
            who = self.named(scene, scene.stranger)
            answer = self.manifest(scene, scene.stranger)
            yield self.check("stranger-pull-refused", _refused(answer, who))

    def refusals(self, scene: _Scene, image: tiny.Tiny, *, there: bool) -> Iterator[Check]:
        """Pushes and deletions that must be refused."""
        if scene.project.public:
            answer = self.upload(scene, "")
            yield self.check("public-push-refused", _refused(answer, "without a login", 401))
        if scene.guest and not scene.project.public:
            who = self.named(scene, scene.guest)
            answer = self.upload(scene, scene.guest)
            yield self.check("guest-push-refused", _refused(answer, who))
        limited = "delete" not in rights(self.registry, scene.pusher, scene.repository)
        if there and limited and not scene.project.public:
            with self.client(scene.pusher) as client:
                path = f"/v2/{scene.repository}/manifests/{image.digest}"
                answer = client.request("DELETE", path)
            who = self.named(scene, scene.pusher)
            yield self.check("developer-delete-refused", _refused(answer, who))

    def deleted(self, scene: _Scene, image: tiny.Tiny) -> Finding:
        """A user with a role that allows it deletes what was pushed."""
        who = self.named(scene, scene.deleter)
        with self.client(scene.deleter) as client:
            try:
                if not client.delete(scene.repository, image.digest):
                    return "failed", f"{who}: what was pushed is not there any more"
            except RegistryError as error:
                left = f"{scene.repository}:{self.token} is still there"
                return "failed", f"{who}: {error.message}; {left}"
        return "passed", who

    def catalog(self) -> Iterator[Check]:
        """A user who is no admin of the registry may not list all repositories."""
        user = next((each for each in self.passwords if each not in self.registry.admins), "")
        if not user:
            return
        try:
            with only_registry_errors(self.target.endpoint), self.client(user) as client:
                finding = _refused(client.request("GET", "/v2/_catalog?n=1"), user)
        except RegistryError as error:
            finding = "failed", f"could not be tried: {error.message}"
        yield self.check("list-refused", finding)

    def may_pull(self, scene: _Scene, user: str, *, there: bool) -> Finding:
        who = self.named(scene, user) if user else "without a login"
        status = self.manifest(scene, user).status
        if status == (200 if there else _NOT_FOUND):
            return "passed", f"{who}, from {scene.project.name}"
        return "failed", f"{who}: a pull from {scene.repository} is answered with {status}"

    def manifest(self, scene: _Scene, user: str) -> Answer:
        path = f"/v2/{scene.repository}/manifests/{self.token}"
        with self.client(user) as client:
            return client.request("GET", path, {"Accept": ", ".join(MANIFEST_TYPES)})

    def upload(self, scene: _Scene, user: str) -> Answer:
        with self.client(user) as client:
            return client.request("POST", f"/v2/{scene.repository}/blobs/uploads/")

    def named(self, scene: _Scene, user: str) -> str:
        """A user with the role that is tested: `bob, guest of team-a`."""
        if user in self.registry.admins:
            return f"{user}, admin of the registry"
        if role := scene.project.roles.get(user):
            return f"{user}, {role} of {scene.project.name}"
        return f"{user}, no member of {scene.project.name}"


def _kind(scene: _Scene) -> str:
    return "public" if scene.project.public else "member"


def _refused(answer: Answer, who: str, status: int = _FORBIDDEN) -> Finding:
    """Whether an answer is the refusal that it must be."""
    if answer.status != status:
        return "failed", f"{who}: answered with {answer.status}, and {status} was due"
    if status == _UNAUTHORIZED and "www-authenticate" not in answer.headers:
        return "failed", f"{who}: 401 without WWW-Authenticate"
    return "passed", f"{who}: {status}"
