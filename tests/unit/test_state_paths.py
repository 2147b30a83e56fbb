"""What lies where in a state directory, and that nobody else spells it."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regfleet import state_paths

SOURCE = Path(state_paths.__file__).parent

# People bring such directories along for years: what was written has to be found.
KEPT = {
    state_paths.CA_KEY: "ca.key",
    state_paths.CA_CERTIFICATE: "ca.crt",
    state_paths.SALT: "salt",
    state_paths.ARCHIVES: "archives.json",
    state_paths.MEMBERS: "members.json",
    state_paths.UNPROVEN: "unproven.json",
    state_paths.SPACE: "space.json",
    state_paths.REPORT: "report.html",
    state_paths.server_key("main"): "registry/main.key",
    state_paths.server_certificate("main"): "registry/main.crt",
    state_paths.htpasswd("main"): "registry/main.htpasswd",
    state_paths.fitting("main"): "registry/main.fitting",
    state_paths.http_secret("main"): "registry/main.http-secret",
    state_paths.token_key("main"): "registry/main.token-key",
    state_paths.token_certificates("main"): "registry/main.token-crt",
    state_paths.password("main", "ci"): "passwords/main/ci",
    state_paths.password("main", "a/b c"): "passwords/main/a%2Fb%20c",
    state_paths.password("main", ".."): "passwords/main/%2E%2E",
    state_paths.run_entry(12): "runs/0012.json",
    state_paths.run_page(12345): "runs/12345.html",
}


@pytest.mark.parametrize("name", KEPT)
def test_names_stay_as_they_are(name):
    assert name == KEPT[name]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_a_password_is_found_by_its_user(user):
    folder, _, file = state_paths.password("main", user).rpartition("/")
    assert folder == state_paths.passwords("main")
    assert state_paths.user_of(file) == user


@pytest.mark.parametrize(
    ("file", "number"),
    [("0012.json", 12), ("12345.json", 12345), ("0012.html", None), ("x.json", None), ("", None)],
)
def test_an_entry_has_its_number_in_its_name(file, number):
    assert state_paths.run_number(file) == number


def spelled(text):
    """Whether a text of the source names something in a state directory."""
    alone = {each for each in KEPT.values() if "/" not in each} | {state_paths.LOCK_OWNER}
    return text in alone or text.startswith(("registry/", "passwords/", "runs/"))


def test_nobody_else_spells_them():
    found = []
    for file in sorted(SOURCE.rglob("*.py")):
        if file.name == "state_paths.py":
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and spelled(text):
                found.append((str(file.relative_to(SOURCE)), node.lineno, text))
    assert found == []
