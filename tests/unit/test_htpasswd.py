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


class TestForRegistry:
    def test_is_kept_from_run_to_run(self, tmp_path):
        state = StateDirectory(tmp_path / "state")
        first = htpasswd.for_registry(state, "main", secrets(a="1"), cheap, save=True)
        assert htpasswd.for_registry(state, "main", secrets(a="1"), cheap, save=True) == first
        assert htpasswd.for_registry(state, "main", secrets(a="1"), cheap, save=False) == first
        assert state.path_of("registry/main.htpasswd").stat().st_mode & 0o777 == 0o600

    def test_an_unchanged_file_is_not_written(self, tmp_path):
        state = StateDirectory(tmp_path / "state")
        htpasswd.for_registry(state, "main", secrets(a="1"), cheap, save=True)
        before = state.path_of("registry/main.htpasswd").stat().st_ino
        htpasswd.for_registry(state, "main", secrets(a="1"), cheap, save=True)
        assert state.path_of("registry/main.htpasswd").stat().st_ino == before

    def test_nothing_is_kept_unless_asked(self, tmp_path):
        state = StateDirectory(tmp_path / "state")
        htpasswd.for_registry(state, "main", secrets(a="1"), cheap, save=False)
        assert not state.path.exists()


@pytest.mark.skipif(shutil.which("htpasswd") is None, reason="Apache's htpasswd is not installed")
def test_apache_agrees(tmp_path):
    file = tmp_path / "htpasswd"
    file.write_text(htpasswd.update(None, secrets(a="grüße 1"), cheap))
    for password, code in (("grüße 1", 0), ("other", 3)):
        done = subprocess.run(["htpasswd", "-vb", file, "a", password], check=False)
        assert done.returncode == code
