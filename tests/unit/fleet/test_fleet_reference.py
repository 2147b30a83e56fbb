from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomli

from regfleet.errors import UsageError
from regfleet.fleet import reference
from regfleet.fleet.reference import find, render, sections
from regfleet.fleet.schema import definition, schema
from regfleet.fleet.template import render_template

ROOT = Path(__file__).resolve().parents[3]
NAMES = [section.name for section in sections()]
TINY: dict[str, Any] = {
    "type": "object",
    "description": "All of it.",
    "required": ["size"],
    "properties": {
        "size": {
            "description": "How big.",
            "type": "integer",
            "minimum": 1,
            "maximum": 9,
            "examples": [3],
        },
        "mode": {
            "description": "How.",
            "type": "string",
            "enum": ["a", "b", "c"],
            "default": "b",
            "examples": ["a", "c"],
        },
    },
}


def test_a_tiny_schema_as_markdown() -> None:
    assert render(sections(TINY)) == (
        """\
## fleet

All of it.

* **`size`**: integer from 1 to 9, required

  How big.

  Example: `size = 3`

* **`mode`**: `"a", "b" or "c"`, default `"b"`

  How.

  Example: `mode = "a"` or `mode = "c"`
"""
    )


def test_every_table_has_a_section_and_every_key_is_in_it() -> None:
    by_name = {section.name: section for section in sections()}
    places = {
        "ssh": "ssh",
        "registry": "registry",
        "upstream": "registry.proxy",
        "http_proxy": "registry.http_proxy",
        "retention": "registry.retention",
        "rule": "registry.retention.rules",
        "garbage": "registry.retention.gc",
        "limits": "registry.limits",
        "tls": "registry.tls",
        "user": "registry.users",
        "project": "registry.projects",
        "gateway": "registry.gateway",
        "backup": "registry.backup",
        "readonly": "registry.readonly",
        "backup_place": "registry.backup.to",
        "client": "client",
        "login": "client.login",
        "proxy": "client.proxy",
        "replication": "replication",
        "copy_proxy": "replication.http_proxy",
        "promotion": "promotion",
        "stage": "promotion.from",
        "secret": "registry.proxy.password",
        "storage": "registry.storage",
        "s3": "registry.storage.s3",
        "ca": "ca",
        "rollout": "rollout",
        "smoke": "smoke",
    }
    for defined, name in places.items():
        keys = definition(defined)["properties"]
        assert [key.name for key in by_name[name].keys] == list(keys)
    assert [key.name for key in by_name["fleet"].keys] == list(schema()["properties"])
    assert [key.name for key in by_name["registry.hosts"].keys] == ["name", "address", "ssh"]
    others = {"fleet", "registry.hosts", "hosts from elsewhere", "registry.users.password"}
    assert len(NAMES) == len(set(NAMES)) == len(places) + len(others)


def test_every_key_shows_what_the_schema_says() -> None:
    keys = {(section.name, key.name): key for section in sections() for key in section.keys}
    port, hosts = keys["ssh", "port"], keys["client", "hosts"]
    assert (port.type, port.default, port.required) == ("integer from 1 to 65535", "", False)
    assert hosts.type == "list of strings or tables, or table"
    assert (hosts.default, hosts.required) == ("", True)
    assert hosts.below == "registry.hosts"
    assert keys["fleet", "ssh"].below == "ssh"
    assert keys["rollout", "batch"].type == "integer from 1 on or string"
    assert keys["registry", "users"].type == "table of tables"
    assert keys["fleet", "version"].type == "always 1"
    for key in keys.values():
        assert key.description
        for example in key.examples:
            assert tomli.loads(f"{key.name} = {example}")


@pytest.mark.parametrize("section", sections(), ids=NAMES)
def test_headers_are_toml(section: reference.Section) -> None:
    if section.name != "fleet":
        assert tomli.loads(section.header)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("client", ["client", "client.login", "client.proxy"]),
        ("registry.tls", ["registry.tls"]),
        ("[registry.NAME.tls]", ["registry.tls"]),
        ("[[registry.NAME.hosts]]", ["registry.hosts"]),
        ("client.hosts", ["registry.hosts"]),
        ("registry.users", ["registry.users", "registry.users.password"]),
        ("fleet", ["fleet"]),
        ("rollout", ["rollout"]),
    ],
)
def test_find_a_section_with_those_below(wanted: str, found: list[str]) -> None:
    assert [section.name for section in find(wanted)] == found


def test_find_one_key() -> None:
    (section,) = find("client.mirrors")
    assert [key.name for key in section.keys] == ["mirrors"]
    assert [key.name for key in find("version")[0].keys] == ["version"]


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("registry.tsl", "did you mean registry.tls?"),
        ("client.mirorrs", "did you mean client.mirrors?"),
        ("", "sections are fleet, ssh, registry, "),
        ("]", "sections are"),
        ("\x1b[31m", "sections are"),
    ],
)
def test_what_is_not_there(wanted: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        find(wanted)
    assert caught.value.exit_code == 2
    assert hint in caught.value.hint
    assert "\x1b" not in caught.value.message


def test_links_within_lead_to_headings() -> None:
    text = reference.reference()
    for name in NAMES:
        assert f"\n## {name}\n" in text
        assert f"* [{name}](#{name.replace('.', '').replace(' ', '-')})\n" in text


# --- editors ----------------------------------------------------------------------------------


def taplo(file: Path) -> subprocess.CompletedProcess[str]:
    """Lint a file as editors do: by the schema that its first line names."""
    beside = Path(sys.executable).with_name("taplo")
    program = str(beside) if beside.is_file() else shutil.which("taplo")
    if program is None:
        pytest.skip("taplo is not there; it has wheels for some platforms only")
    return subprocess.run(
        [program, "lint", "--no-auto-config", "--colors", "never", file.name],
        cwd=file.parent,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def with_schema(tmp_path: Path) -> Path:
    text = (ROOT / "schema" / "fleet.schema.json").read_bytes()
    (tmp_path / "fleet.schema.json").write_bytes(text)
    file = tmp_path / "fleet.toml"
    file.write_text(f"#:schema fleet.schema.json\n{render_template('acme')}", "utf-8")
    return file


def test_an_editor_is_content_with_the_template(with_schema: Path) -> None:
    done = taplo(with_schema)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("\nregistries = ", "\nregistrys = ", "'registrys' was unexpected"),
        ("\nversion = 1\n", "\nversion = 2\n", "1 was expected"),
        ('\n#batch = "20%"', '\nbatch = "0%"', '"0%" does not match'),
        ("\n#port = 22", '\nport = "22"', '"22" is not of type "integer"'),
    ],
)
def test_an_editor_reports_mistakes(with_schema: Path, old: str, new: str, words: str) -> None:
    text = with_schema.read_text("utf-8")
    assert text.count(old) == 1
    with_schema.write_text(text.replace(old, new), "utf-8")
    done = taplo(with_schema)
    assert done.returncode != 0
    assert words in done.stderr


def test_inventories_name_the_schema_and_an_editor_is_content() -> None:
    for file in sorted((ROOT / "inventories").glob("*.toml")):
        assert file.read_text("utf-8").startswith("#:schema ../schema/fleet.schema.json\n"), file
        done = taplo(file)
        assert done.returncode == 0, done.stderr
