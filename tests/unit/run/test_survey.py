"""What a survey decides without a host: clocks, which registries, what is known, where from."""

import hashlib
import os
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from making import (
    NOW,
    SALT,
    client,
    container,
    desired,
    engine,
    fleet,
    host,
    login,
    observed,
    registry,
    with_login,
)

from regfleet import passwords, record
from regfleet.desired.model import DaemonSettings, Directory, File
from regfleet.engines.docker import Docker
from regfleet.errors import RegfleetError, UsageError
from regfleet.fleet.model import PasswordSource, Tls, User
from regfleet.look.observed import ObservedContainer, ObservedPath
from regfleet.look.request import login_digest
from regfleet.materials import gather
from regfleet.plan.diff import diff
from regfleet.plan.model import Change, EditFile
from regfleet.record import (
    Owned,
    OwnedContainer,
    OwnedEdit,
    OwnedList,
    OwnedLogin,
    OwnedValue,
)
from regfleet.run import known
from regfleet.run.drift import origin
from regfleet.run.images import chosen
from regfleet.run.survey import _asked, last_apply, skew
from regfleet.state import StateDirectory

ENDPOINT = "reg.example.com:5000"
CERT = "/etc/docker/certs.d/reg.example.com:5000/ca.crt"
FROM_ENVIRONMENT = User("alice", PasswordSource("env", "REGFLEET_TEST_PASSWORD"))
GENERATED = User("ci", PasswordSource("generate"))


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        (1000, 0),
        (1001, 0),
        (1002, 0),  # it looked at its clock at the end
        (1003, 0),  # less than a second
        (1004, 1),
        (1100, 97),
        (999, 0),  # 999.9 in whole seconds
        (998, -1),
        (900, -99),
    ],
)
def test_a_clock_is_wrong_by_what_the_look_cannot_explain(clock, expected):
    assert skew(clock, 1000.5, 1002.2) == expected


def test_the_last_apply_is_the_reports_time(tmp_path):
    state = StateDirectory(tmp_path / "state")
    assert last_apply(state) is None
    state.write_text("report.html", "x")
    os.utime(state.path_of("report.html"), (1_900_000_000, 1_900_000_000))
    assert last_apply(state) == datetime.fromtimestamp(1_900_000_000, timezone.utc)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["reg1", "web1", "web2"], ["main", "used", "unused"]),
        (["reg1"], ["main"]),
        (["web1"], ["used"]),
        (["web2"], []),
    ],
)
def test_which_registries_are_asked(names, expected):
    external = {"external": True, "hosts": (), "users": ()}
    whole = fleet(
        [
            registry(),
            registry("used", "used.example", **external),
            registry("unused", "unused.example", **external),
        ],
        [
            client("one", hosts=(host("web1"),), registries=("main", "used")),
            client("two", hosts=(host("web2"),)),
        ],
    )
    assert [each.name for each in _asked(whole, names)] == expected


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


class TestKnown:
    """A fleet applied once; then something is missing."""

    @pytest.fixture
    def state(self, tmp_path):
        return StateDirectory(tmp_path / "state")

    @pytest.fixture
    def whole(self, state, monkeypatch):
        found = fleet(
            [registry(users=(FROM_ENVIRONMENT, GENERATED))],
            [client(logins=with_login(user="alice"))],
        )
        monkeypatch.setenv("REGFLEET_TEST_PASSWORD", "first")
        gather(found, state, save=True, now=NOW)
        return found

    def test_everything_is_what_apply_would_make(self, whole, state):
        found = known.read(whole, state, NOW)
        assert list(found.errors()) == []
        materials, hosts, unknown = found.desired()
        assert materials == gather(whole, state, save=False, now=NOW)
        assert unknown == {"reg1": frozenset(), "web1": frozenset(), "web2": frozenset()}
        assert set(hosts) == set(unknown)

    def test_a_changed_password_is_seen(self, whole, state, monkeypatch):
        before = known.read(whole, state, NOW).registries["main"].htpasswd
        monkeypatch.setenv("REGFLEET_TEST_PASSWORD", "second")
        after = known.read(whole, state, NOW).registries["main"].htpasswd
        assert before.splitlines()[0] != after.splitlines()[0]
        assert before.splitlines()[1] == after.splitlines()[1]

    def test_without_a_password_the_kept_hashes_stand(self, whole, state, monkeypatch):
        monkeypatch.delenv("REGFLEET_TEST_PASSWORD")
        found = known.read(whole, state, NOW)
        about = found.registries["main"]
        assert about.htpasswd == state.read_text("registry/main.htpasswd")
        (error,) = found.errors()
        assert "the environment variable REGFLEET_TEST_PASSWORD is not set" in error.message
        assert about.credentials().user == "ci"
        _, _, unknown = found.desired()
        login_resource = frozenset({f"login root@{ENDPOINT}"})
        assert unknown == {"reg1": frozenset(), "web1": login_resource, "web2": login_resource}

    def test_without_any_password_there_are_no_credentials(self, state, monkeypatch):
        monkeypatch.delenv("REGFLEET_TEST_PASSWORD", raising=False)
        one = fleet([registry(users=(FROM_ENVIRONMENT,))])
        about = known.read(one, state, NOW).registries["main"]
        with pytest.raises(RegfleetError, match="REGFLEET_TEST_PASSWORD is not set"):
            about.credentials()

    def test_a_registry_without_users_is_asked_as_nobody(self, state):
        about = known.read(fleet([registry(users=())]), state, NOW).registries["main"]
        assert about.credentials() is None

    def test_without_a_state_directory_nothing_is_made(self, whole, tmp_path):
        empty = StateDirectory(tmp_path / "empty")
        found = known.read(whole, empty, NOW)
        _, _, unknown = found.desired()
        assert not empty.path.exists()
        assert found.salt is None
        assert unknown["reg1"] == {
            "file /etc/regfleet/main/config.yml",
            "file /etc/regfleet/main/registry.crt",
            "file /etc/regfleet/main/registry.key",
            "file /etc/regfleet/main/htpasswd",
            "container regfleet-main",
        }
        assert unknown["web1"] == {f"file {CERT}"}
        with pytest.raises(RegfleetError, match="not in the state directory"):
            found.registries["main"].trusted()

    def test_a_certificate_of_ones_own_that_cannot_serve(self, state):
        missing = Tls("files", certificate=Path("/none/crt"), key=Path("/none/key"))
        found = known.read(fleet([registry(tls=missing, users=())]), state, NOW)
        _, hosts, unknown = found.desired()
        assert next(found.errors()).message.startswith("cannot read /none/crt")
        assert "file /etc/regfleet/main/registry.crt" in unknown["reg1"]
        assert hosts["web1"].files == ()  # everybody trusts it already, as declared

    def test_a_generated_password_is_not_made_up(self, whole, state):
        assert known.read(whole, state, NOW).registries["main"].passwords[
            "ci"
        ] == passwords.resolve(
            GENERATED.password, state=state, registry="main", user="ci", save=False
        )
        state.path_of("passwords/main/ci").unlink()
        assert "ci" not in known.read(whole, state, NOW).registries["main"].passwords

    def test_a_ca_in_its_last_third_is_not_renewed(self, whole, state):
        before = state.read("ca.crt")
        known.read(whole, state, NOW + timedelta(days=3000)).desired()
        assert state.read("ca.crt") == before


class TestOrigin:
    """Where a difference comes from, each case made by the plan itself."""

    FILE = File(CERT, b"CA\n", 0o444, "client.build.registries: main")
    LOGIN = login()
    WRITTEN = Owned(files=(CERT,), digests={CERT: "written"})

    def judge(self, want, seen, salt=SALT):
        changes = diff(want, seen, SALT).changes
        return {change.resource: origin(change, want, seen, salt) for change in changes}

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
        change = Change(f"file {path}", "update", "why")
        assert origin(change, desired(), seen, SALT) == expected

    def test_the_record_knows_such_files_as_they_were_written(self):
        class Editing(Docker):
            """Docker, and a file that others write too."""

            steps = (EditFile("/etc/x.toml", "written"), EditFile("/etc/gone.toml", "left"))

            def plan(self, want, seen, owned, others):
                mine = OwnedEdit(values={"a": OwnedValue(1, None, False)})
                edits = dict.fromkeys(("/etc/x.toml", "/etc/y.toml"), mine)
                part = super().plan(want, seen, owned, others)
                change = Change("file /etc/x.toml", "update", "why")
                return replace(part, changes=(change,), configure=self.steps, edits=edits)

        before = Owned(
            files=(CERT,), digests={"/etc/y.toml": "kept", "/etc/z.toml": "not ours any more"}
        )
        plan = diff(desired(), self.seen(before), SALT, [Editing()])
        written = record.parse(plan.record)["acme"].digests
        assert written == {"/etc/x.toml": digest("written"), "/etc/y.toml": "kept"}

    def test_a_file_that_depends_on_what_was_seen_is_judged_by_the_record(self):
        change = Change(f"file {CERT}", "update", "why")
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
            Owned(files=(config.path,), containers=(OwnedContainer(made.name, "/x"),)),
            paths={config.path: ObservedPath(config.path, False, 0o600, (0, 0), "other")},
            containers={
                made.name: ObservedContainer(made.name, True, "sha256:1", specification, "acme")
            },
            images={"registry:2": "sha256:1"},
        )
        want = desired(files=(config,), containers=(made,))
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
            (Owned(containers=(OwnedContainer("regfleet-main", "/x"),)), None, "", "host"),
            (Owned(containers=(OwnedContainer("regfleet-main", "/x"),)), False, "same", "host"),
            (Owned(containers=(OwnedContainer("regfleet-main", "/x"),)), True, "other", "fleet"),
        ],
    )
    def test_a_container(self, owned, running, specification, expected):
        made = container()
        label = made.specification if specification == "same" else "x"
        there = {made.name: ObservedContainer(made.name, running, "sha256:1", label, "acme")}
        seen = self.seen(
            owned,
            containers={} if running is None else there,
            images={"registry:2": "sha256:1"},
        )
        found = self.judge(desired(containers=(made,)), seen)
        assert found["container regfleet-main"] == expected

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
        owned = Owned(
            lists={"registry-mirrors": OwnedList(tuple(entries), False)} if entries else {}
        )
        want = desired(daemon=DaemonSettings(lists={"registry-mirrors": tuple(wanted)}))
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
        owned = Owned(values={} if kept is None else {"debug": OwnedValue(kept, None, False)})
        want = desired(daemon=DaemonSettings(values={"debug": wanted}))
        assert self.judge(want, self.seen(owned, daemon_json=text))["daemon.json debug"] == expected

    def test_a_daemon_that_has_not_taken_its_file_up(self):
        owned = Owned(values={"debug": OwnedValue(True, None, False)})
        want = desired(daemon=DaemonSettings(values={"debug": True}))
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
        ("owned", "expected"), [(Owned(), "fleet"), (Owned(directories=("/etc/x",)), "host")]
    )
    def test_a_directory(self, owned, expected):
        want = desired(directories=(Directory("/etc/x", 0o755, "why"),))
        assert self.judge(want, self.seen(owned))["directory /etc/x"] == expected

    def test_what_is_no_longer_declared(self):
        owned = Owned(
            files=(CERT,),
            containers=(OwnedContainer("regfleet-old", "/x"),),
            logins=(OwnedLogin("root", ENDPOINT, "ci", "x"),),
        )
        found = self.judge(replace(desired(), engine=None), self.seen(owned))
        assert len(found) == 3
        assert set(found.values()) == {"fleet"}

    def test_what_nothing_is_known_of(self):
        change = Change("moon phase", "run", "why")
        assert origin(change, desired(), self.seen(), SALT) == "unclear"

    def test_what_was_cut_off_is_the_hosts(self):
        assert self.judge(desired(), self.seen(pending=True)) == {"interrupted change": "host"}


class TestChosen:
    FLEET = fleet([registry(), registry("mirror", "mirror.example.com")])

    @pytest.mark.parametrize(
        ("asked", "names", "repository"),
        [
            ("", ["main", "mirror"], ""),
            ("main", ["main"], ""),
            ("main/", ["main"], ""),
            ("main/team/app", ["main"], "team/app"),
            ("reg.example.com:5000/team/app", ["main"], "team/app"),
            ("mirror.example.com", ["mirror"], ""),
        ],
    )
    def test_known(self, asked, names, repository):
        found, rest = chosen(self.FLEET, asked)
        assert ([each.name for each in found], rest) == (names, repository)

    @pytest.mark.parametrize(
        ("asked", "hint"),
        [("mian", "did you mean main?"), ("xyz/app", "registries are main, mirror")],
    )
    def test_unknown(self, asked, hint):
        with pytest.raises(UsageError) as caught:
            chosen(self.FLEET, asked)
        assert caught.value.hint == hint
        assert "acme.toml" in caught.value.message
