"""htpasswd files: parsed and rendered alike, unchanged hashes kept, bcrypt only."""

import shutil
import subprocess

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regfleet import htpasswd
from regfleet.errors import PasswordError
from regfleet.secret import Secret
from regfleet.state import StateDirectory

HASH = "$2y$05$" + "a" * 53
OTHER = "$2b$10$" + "./Z9" * 13 + "x"


def secrets(**users):
    return {name: Secret(password) for name, password in users.items()}


def cheap(_user):
    return 4


def fits(entries, user, password):
    return bcrypt.checkpw(password.encode(), entries[user].encode())


names = st.text(min_size=1, max_size=20).filter(lambda name: not htpasswd._UNFIT_NAME.search(name))
hashes = st.builds(
    "${}${:02}${}".format,
    st.sampled_from(["2a", "2b", "2y"]),
    st.integers(4, 31),
    st.text("./ABCabc019", min_size=53, max_size=53),
)


@given(st.dictionaries(names.filter(lambda name: name.isprintable()), hashes))
def test_parse_of_render_is_identity(entries):
    assert htpasswd.parse(htpasswd.render(entries)) == entries
    assert list(htpasswd.parse(htpasswd.render(entries))) == list(entries)


@given(st.text())
def test_what_parse_finds_can_be_rendered(text):
    entries = htpasswd.parse(text)
    assert htpasswd.parse(htpasswd.render(entries)) == entries


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("", {}),
        (f"a:{HASH}\n", {"a": HASH}),
        (f"a:{HASH}", {"a": HASH}),
        (f"  a:{HASH}  \r\n", {"a": HASH}),
        (f"b:{OTHER}\na:{HASH}\n", {"b": OTHER, "a": HASH}),
        (f"a:{OTHER}\na:{HASH}\n", {"a": HASH}),  # the last one counts, as in distribution
        (f"# a:{HASH}\n\n", {}),
        (f"{HASH}\n", {}),
        (f":{HASH}\n", {}),
        ("a:$apr1$x$y\na:{SHA}xxx\na:plain\n", {}),
        (f"a:{HASH}x\n", {}),
        (f"a:{HASH[:-1]}\n", {}),
        (f"a:{HASH.replace('$05$', '$03$')}\n", {}),
        (f"a:{HASH.replace('$05$', '$32$')}\n", {}),
        (f"a:b:{HASH}\n", {}),
    ],
)
def test_parse(text, entries):
    assert htpasswd.parse(text) == entries


@pytest.mark.parametrize("name", ["", "a:b", "a\nb", "#a", " a", "a ", "a\0", "a\x85b", "a\u2028b"])
def test_unfit_names_are_refused(name):
    with pytest.raises(PasswordError, match="cannot be a registry user's name"):
        htpasswd.render({name: HASH})


def test_unfit_hashes_are_refused_and_not_shown():
    with pytest.raises(PasswordError) as caught:
        htpasswd.render({"a": "hunter2"})
    assert "hunter2" not in str(caught.value)


class TestUpdate:
    def test_new_users_in_the_declared_order(self):
        text = htpasswd.update(None, secrets(zoe="1", adam="2"), cheap)
        entries = htpasswd.parse(text)
        assert list(entries) == ["zoe", "adam"]
        assert fits(entries, "zoe", "1")
        assert fits(entries, "adam", "2")
        assert all(hashed.startswith("$2y$04$") for hashed in entries.values())

    def test_unchanged_is_the_same_byte_for_byte(self):
        users = secrets(zoe="1", adam="2")
        text = htpasswd.update(None, users, cheap)
        assert htpasswd.update(text, users, cheap) == text

    def test_only_what_changed_changes(self):
        old = htpasswd.parse(htpasswd.update(None, secrets(a="1", b="2", c="3"), cheap))
        new = htpasswd.parse(
            htpasswd.update(htpasswd.render(old), secrets(d="4", c="3", b="new"), cheap)
        )
        assert list(new) == ["d", "c", "b"]
        assert new["c"] == old["c"]
        assert fits(new, "b", "new")
        assert not fits(new, "b", "2")

    @pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
    def test_every_bcrypt_prefix_is_known(self, prefix):
        hashed = bcrypt.hashpw(b"1", bcrypt.gensalt(4)).decode().replace("$2b$", prefix)
        text = f"a:{hashed}\n"
        assert htpasswd.update(text, secrets(a="1"), cheap) == text

    def test_another_cost_makes_it_anew(self):
        text = htpasswd.update(None, secrets(a="1"), cheap)
        entries = htpasswd.parse(htpasswd.update(text, secrets(a="1"), lambda _: 5))
        assert entries["a"].startswith("$2y$05$")
        assert fits(entries, "a", "1")

    def test_malformed_lines_go(self):
        junk = "no colon here\na:plain\n"
        assert list(htpasswd.parse(htpasswd.update(junk, secrets(a="1"), cheap))) == ["a"]

    def test_the_longest_password(self):
        password = "ü" * 36
        entries = htpasswd.parse(htpasswd.update(None, secrets(a=password), cheap))
        assert fits(entries, "a", password)
        assert not fits(entries, "a", "ü" * 35 + "ö")

    @settings(max_examples=20, deadline=None)
    @given(
        st.dictionaries(st.sampled_from("abc"), st.sampled_from(["1", "2"])),
        st.dictionaries(st.sampled_from("abc"), st.sampled_from(["1", "2"])),
    )
    def test_update_forgets_where_it_came_from(self, before, after):
        text = htpasswd.update(
            htpasswd.update(None, secrets(**before), cheap), secrets(**after), cheap
        )
        entries = htpasswd.parse(text)
        assert list(entries) == list(after)
        assert all(fits(entries, name, password) for name, password in after.items())
        assert htpasswd.update(text, secrets(**after), cheap) == text


@pytest.mark.parametrize(
    ("kind", "cost"), [("generate", 5), ("env", 10), ("file", 10), ("command", 10)]
)
def test_cost(kind, cost):
    assert htpasswd.cost_of(kind) == cost


USERS = secrets(a="1", ci="random enough")
KINDS = {"a": "env", "ci": "generate"}


class TestForRegistry:
    @pytest.fixture
    def state(self, tmp_path):
        return StateDirectory(tmp_path / "state")

    @pytest.fixture
    def asked(self, monkeypatch):
        """How often bcrypt was asked."""
        asked = []
        check = bcrypt.checkpw
        monkeypatch.setattr(bcrypt, "checkpw", lambda *pair: asked.append(pair) or check(*pair))
        return asked

    def make(self, state, users=USERS, kinds=KINDS, *, save=True):
        return htpasswd.for_registry(state, "main", users, kinds, save=save)

    def test_is_kept_from_run_to_run(self, state):
        first = self.make(state)
        assert self.make(state) == first
        assert self.make(state, save=False) == first
        assert state.path_of("registry/main.htpasswd").stat().st_mode & 0o777 == 0o600

    def test_an_unchanged_file_is_not_written(self, state):
        self.make(state)
        before = [path.stat().st_ino for path in sorted(state.path.rglob("main.*"))]
        assert len(before) == 2
        self.make(state)
        assert [path.stat().st_ino for path in sorted(state.path.rglob("main.*"))] == before

    def test_nothing_is_kept_unless_asked(self, state):
        self.make(state, save=False)
        assert not state.path.exists()

    def test_bcrypt_is_asked_of_peoples_passwords_alone(self, state, asked):
        self.make(state)
        asked.clear()
        self.make(state)
        assert [password for password, _ in asked] == [b"1"]

    def test_no_digest_of_a_password_of_people_is_kept(self, state):
        self.make(state, secrets(a="1", b="2"), {"a": "env", "b": "file"})
        assert not state.path_of("registry/main.fitting").exists()

    def test_a_password_of_people_is_never_taken_as_fitting(self, state, asked):
        self.make(state)
        asked.clear()
        self.make(state, USERS, {"a": "env", "ci": "env"})
        assert b"random enough" not in [password for password, _ in asked]  # another cost
        asked.clear()
        self.make(state, USERS, {"a": "env", "ci": "env"})
        assert b"random enough" in [password for password, _ in asked]

    def test_another_generated_password_is_hashed_anew(self, state):
        first = htpasswd.parse(self.make(state))
        second = htpasswd.parse(self.make(state, secrets(a="1", ci="another")))
        assert first["a"] == second["a"]
        assert fits(second, "ci", "another")

    @pytest.mark.parametrize("spoilt", ["", "junk\n", "0" * 64 + "\n"])
    def test_without_the_digests_bcrypt_is_asked_and_they_come_back(self, state, asked, spoilt):
        first = self.make(state)
        kept = state.read_text("registry/main.fitting")
        state.write_text("registry/main.fitting", spoilt)
        asked.clear()
        assert self.make(state) == first
        assert len(asked) == 2
        assert state.read_text("registry/main.fitting") == kept

    def test_a_hash_that_somebody_changed_does_not_fit(self, state):
        entries = htpasswd.parse(self.make(state))
        other = bcrypt.hashpw(b"other", bcrypt.gensalt(htpasswd.GENERATED_COST)).decode()
        state.write_text("registry/main.htpasswd", htpasswd.render({**entries, "ci": other}))
        assert fits(htpasswd.parse(self.make(state)), "ci", "random enough")


@pytest.mark.skipif(shutil.which("htpasswd") is None, reason="Apache's htpasswd is not installed")
def test_apache_agrees(tmp_path):
    file = tmp_path / "htpasswd"
    file.write_text(htpasswd.update(None, secrets(a="grüße 1"), cheap))
    for password, code in (("grüße 1", 0), ("other", 3)):
        done = subprocess.run(["htpasswd", "-vb", file, "a", password], check=False)
        assert done.returncode == code
