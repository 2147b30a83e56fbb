"""Where a difference comes from, each case made by the plan itself."""

import hashlib
from dataclasses import replace

import pytest
from making import (
    SALT,
    container,
    daemon_json,
    desired,
    engine,
    login,
    observed,
    owned_daemon_json,
    seen_container,
)

from regfleet import record
from regfleet.engines.docker import Docker
from regfleet.look.request import login_digest
from regfleet.model.files import Directory, File
from regfleet.model.observed import ObservedPath
from regfleet.model.plan import Change, EditFile
from regfleet.model.resource import Resource
from regfleet.plan.diff import diff
from regfleet.record import (
    Owned,
    OwnedEdit,
    OwnedList,
    OwnedLogin,
    OwnedService,
    OwnedValue,
)
from regfleet.report.resource_text import resource_text
from regfleet.run.drift import origin

ENDPOINT = "reg.example.com:5000"
CERT = "/etc/docker/certs.d/reg.example.com:5000/ca.crt"


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


class TestOrigin:
    """Where a difference comes from, each case made by the plan itself."""

    FILE = File(CERT, b"CA\n", 0o444, "client.build.registries: main")
    LOGIN = login()
    WRITTEN = Owned(files=(CERT,), digests={CERT: "written"})

    def judge(self, want, seen, salt=SALT):
        changes = diff(want, seen, SALT).changes
        return {
            resource_text(change.resource): origin(change, want, seen, salt) for change in changes
        }

    def seen(self, owned=None, **changes):
        return observed(owned={"acme": owned} if owned else {}, **changes)

    @pytest.mark.parametrize(
        ("owned", "path", "expected"),
        [
            (Owned(), None, "fleet"),
            (Owned(files=(CERT,)), None, "host"),
            (Owned(), ObservedPath(CERT, False, 0o444, (0, 0), "other"), "fleet"),
            (Owned(files=(CERT,)), ObservedPath(CERT, False, 0o444, (0, 0), "other"), "unclear"),
            (WRITTEN, ObservedPath(CERT, False, 0o444, (0, 0), "other"), "host"),
            (WRITTEN, ObservedPath(CERT, False, 0o444, (0, 0), "written"), "fleet"),
            (WRITTEN, ObservedPath(CERT, False, 0o600, (0, 0), "written"), "fleet"),
            (WRITTEN, None, "host"),
            (
                Owned(files=(CERT,)),
                ObservedPath(CERT, False, 0o600, (0, 0), FILE.digest),
                "host",
            ),
        ],
    )
    def test_a_file(self, owned, path, expected):
        seen = self.seen(owned, paths={CERT: path} if path else {})
        assert self.judge(desired(files=(self.FILE,)), seen)[f"file {CERT}"] == expected

    @pytest.mark.parametrize(
        ("text", "recorded", "expected"),
        [
            ("as written", "as written", "fleet"),
            ("with something of theirs", "as written", "unclear"),
            ("of an old record", None, "unclear"),
            (None, "as written", "host"),
        ],
    )
    def test_a_file_that_others_write_too(self, text, recorded, expected):
        path = "/etc/containerd/config.toml"
        edit = OwnedEdit(values={"a": OwnedValue(1, None, False)})
        digests = {path: digest(recorded)} if recorded else {}
        seen = self.seen(
            Owned(edits={path: edit}, digests=digests), texts={path: text} if text else {}
        )
        change = Change(Resource("file", path), "update", "why")
        assert origin(change, desired(), seen, SALT) == expected

    def test_the_record_knows_such_files_as_they_were_written(self):
        class Editing(Docker):
            """Docker, and a file that others write too."""

            steps = (EditFile("/etc/x.toml", "written"), EditFile("/etc/gone.toml", "left"))

            def plan(self, want, seen, owned, others):
                mine = OwnedEdit(values={"a": OwnedValue(1, None, False)})
                edits = dict.fromkeys(("/etc/x.toml", "/etc/y.toml"), mine)
                part = super().plan(want, seen, owned, others)
                change = Change(Resource("file", "/etc/x.toml"), "update", "why")
                return replace(part, changes=(change,), configure=self.steps, edits=edits)

        before = Owned(
            files=(CERT,), digests={"/etc/y.toml": "kept", "/etc/z.toml": "not ours any more"}
        )
        plan = diff(desired(), self.seen(before), SALT, [Editing()])
        written = record.parse(plan.record)["acme"].digests
        assert written == {"/etc/x.toml": digest("written"), "/etc/y.toml": "kept"}

    def test_a_file_that_depends_on_what_was_seen_is_judged_by_the_record(self):
        change = Change(Resource("file", CERT), "update", "why")
        for found, expected in (("written", "fleet"), ("other", "host")):
            paths = {CERT: ObservedPath(CERT, False, 0o444, (0, 0), found)}
            assert origin(change, desired(), self.seen(self.WRITTEN, paths=paths), SALT) == expected
            old = self.seen(Owned(files=(CERT,)), paths=paths)
            assert origin(change, desired(), old, SALT) == "unclear"

    @pytest.mark.parametrize(("label", "expected"), [("same", "host"), ("other", "unclear")])
    def test_a_file_that_a_containers_label_vouches_for(self, label, expected):
        config = File("/etc/regfleet/main/config.yml", b"new", 0o600, "registry.main", secret=True)
        made = container(inputs=(config.digest,))
        specification = made.specification if label == "same" else "x"
        seen = self.seen(
            Owned(files=(config.path,), services=(OwnedService(made.name, "/x"),)),
            paths={config.path: ObservedPath(config.path, False, 0o600, (0, 0), "other")},
            services={
                made.name: seen_container(made.name, True, "sha256:1", specification, "acme")
            },
            images={"registry:2": "sha256:1"},
        )
        want = desired(files=(config,), services=(made,))
        assert self.judge(want, seen)[f"file {config.path}"] == expected

    def test_what_was_applied_is_known_by_its_digest(self):
        """The record that a plan writes tells the two apart when the file differs later."""
        plan = diff(desired(files=(self.FILE,)), observed(), SALT)
        owned = record.parse(plan.record)["acme"]
        assert owned.digests == {CERT: self.FILE.digest}
        newer = File(CERT, b"NEW CA\n", 0o444, "why")
        for digest, expected in ((self.FILE.digest, "fleet"), ("other", "host")):
            seen = self.seen(owned, paths={CERT: ObservedPath(CERT, False, 0o444, (0, 0), digest)})
            assert self.judge(desired(files=(newer,)), seen) == {f"file {CERT}": expected}

    @pytest.mark.parametrize(
        ("owned", "running", "specification", "expected"),
        [
            (Owned(), None, "", "fleet"),
            (Owned(services=(OwnedService("regfleet-main", "/x"),)), None, "", "host"),
            (Owned(services=(OwnedService("regfleet-main", "/x"),)), False, "same", "host"),
            (Owned(services=(OwnedService("regfleet-main", "/x"),)), True, "other", "fleet"),
        ],
    )
    def test_a_container(self, owned, running, specification, expected):
        made = container()
        label = made.specification if specification == "same" else "x"
        there = {made.name: seen_container(made.name, running, "sha256:1", label, "acme")}
        seen = self.seen(
            owned,
            services={} if running is None else there,
            images={"registry:2": "sha256:1"},
        )
        found = self.judge(desired(services=(made,)), seen)
        assert found["container regfleet-main"] == expected

    @pytest.mark.parametrize(
        ("brought", "expected"),
        [
            (None, "fleet"),  # the container is new
            ("registry:2", "host"),
            ("registry:1", "fleet"),  # another one is declared now
            ("", "unclear"),  # it was there before us, or nobody noted whose it was
        ],
    )
    def test_an_image_that_is_missing(self, brought, expected):
        mine = () if brought is None else (OwnedService("regfleet-main", "/x", brought),)
        found = self.judge(desired(services=(container(),)), self.seen(Owned(services=mine)))
        assert found["image registry:2"] == expected

    @pytest.mark.parametrize(
        ("text", "entries", "wanted", "expected"),
        [
            (None, None, ["a"], "fleet"),
            (None, ["a"], ["a"], "host"),
            ('{"registry-mirrors": ["b"]}', ["a"], ["a"], "host"),
            ('{"registry-mirrors": ["a"]}', ["a"], ["a", "b"], "fleet"),
            ('{"registry-mirrors": ["a"]}', ["a"], [], "fleet"),
            ('{"registry-mirrors": ["b"]}', ["a"], ["a", "c"], "host"),
        ],
    )
    def test_a_list_of_daemon_json(self, text, entries, wanted, expected):
        owned = owned_daemon_json(
            {"registry-mirrors": OwnedList(tuple(entries), False)} if entries else {}
        )
        want = desired(daemon=daemon_json({"registry-mirrors": tuple(wanted)}))
        found = self.judge(want, self.seen(owned, daemon_json=text))
        assert found["daemon.json registry-mirrors"] == expected

    @pytest.mark.parametrize(
        ("text", "kept", "wanted", "expected"),
        [
            (None, None, True, "fleet"),
            (None, True, True, "host"),
            ('{"debug": false}', True, True, "host"),
            ('{"debug": 1}', True, True, "host"),
            ('{"debug": true}', True, False, "fleet"),
        ],
    )
    def test_a_value_of_daemon_json(self, text, kept, wanted, expected):
        values = {} if kept is None else {"debug": OwnedValue(kept, None, False)}
        owned = owned_daemon_json(values=values)
        want = desired(daemon=daemon_json(values={"debug": wanted}))
        assert self.judge(want, self.seen(owned, daemon_json=text))["daemon.json debug"] == expected

    def test_a_daemon_that_has_not_taken_its_file_up(self):
        owned = owned_daemon_json(values={"debug": OwnedValue(True, None, False)})
        want = desired(daemon=daemon_json(values={"debug": True}))
        running = engine(values={"debug": False})
        seen = self.seen(owned, daemon_json='{"debug": true}', engine=running)
        assert self.judge(want, seen)["daemon.json debug"] == "host"

    @pytest.mark.parametrize(
        ("recorded", "found", "salt", "expected"),
        [
            (None, None, SALT, "fleet"),
            (None, "theirs", SALT, "fleet"),
            ("written", None, SALT, "host"),
            ("written", "written", SALT, "fleet"),
            ("written", "helper", SALT, "fleet"),
            ("written", "theirs", SALT, "host"),
            ("written", "theirs", None, "unclear"),
        ],
    )
    def test_a_login(self, recorded, found, salt, expected):
        key = ("root", ENDPOINT)
        owned = Owned(logins=(OwnedLogin(*key, "ci", recorded),)) if recorded else Owned()
        seen = self.seen(owned, logins={key: found} if found else {})
        judged = self.judge(desired(logins=(self.LOGIN,)), seen, salt)
        assert login_digest(self.LOGIN, SALT) != found
        assert judged[f"login root@{ENDPOINT}"] == expected

    @pytest.mark.parametrize(
        ("owned", "expected"), [(Owned(), "fleet"), (Owned(files=("/x",)), "host")]
    )
    def test_an_engine_that_does_not_run(self, owned, expected):
        found = self.judge(desired(), self.seen(owned, engine=engine("down", version="")))
        assert found["service docker"] == expected

    @pytest.mark.parametrize(
        ("owned", "expected"), [(Owned(), "fleet"), (Owned(files=("/x",)), "host")]
    )
    def test_an_engine_that_is_missing(self, owned, expected):
        missing = engine("missing", version="")
        found = self.judge(desired(install=True), self.seen(owned, engine=missing))
        assert found["package docker.io"] == expected

    @pytest.mark.parametrize(
        ("owned", "expected"), [(Owned(), "fleet"), (Owned(directories=("/etc/x",)), "host")]
    )
    def test_a_directory(self, owned, expected):
        want = desired(directories=(Directory("/etc/x", 0o755, "why"),))
        assert self.judge(want, self.seen(owned))["directory /etc/x"] == expected

    def test_what_is_no_longer_declared(self):
        owned = Owned(
            files=(CERT,),
            services=(OwnedService("regfleet-old", "/x"),),
            logins=(OwnedLogin("root", ENDPOINT, "ci", "x"),),
        )
        found = self.judge(replace(desired(), engine=None), self.seen(owned))
        assert len(found) == 3
        assert set(found.values()) == {"fleet"}

    def test_what_nothing_is_known_of(self):
        change = Change(Resource("other", "moon phase"), "run", "why")
        assert origin(change, desired(), self.seen(), SALT) == "unclear"

    def test_what_was_cut_off_is_the_hosts(self):
        assert self.judge(desired(), self.seen(pending=True)) == {"interrupted change": "host"}
