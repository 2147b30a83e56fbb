from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import tomli
from jsonschema import Draft202012Validator

from regfleet.engines import ENGINES
from regfleet.fleet import defaults, toml_text
from regfleet.fleet.formats import FORMATS
from regfleet.fleet.load import load
from regfleet.fleet.schema import definition, resolved, schema
from regfleet.fleet.template import render_template
from regfleet.fleet.validate import validate
from regfleet.fleet.wording import _TRANSLATIONS
from regfleet.runtimes import RUNTIMES


def subschemas(item: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every table of the schema that could be a subschema, with its path."""
    if isinstance(item, dict):
        yield path, item
        for key, child in item.items():
            if key not in ("examples", "default"):
                yield from subschemas(child, f"{path}/{key}")


EVERY = list(subschemas(schema()))
KEYS = [
    (f"{path}/{key}", subschema)
    for path, each in EVERY
    for key, subschema in each.get("properties", {}).items()
    if isinstance(subschema, dict) and not path.endswith("/properties")
]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(schema())
    assert len(KEYS) > 40


@pytest.mark.parametrize(("path", "key"), KEYS, ids=[path for path, _ in KEYS])
def test_every_key_is_documented(path: str, key: dict[str, Any]) -> None:
    assert key["description"].endswith("."), path
    assert key["examples"], path


@pytest.mark.parametrize(("path", "key"), KEYS, ids=[path for path, _ in KEYS])
def test_defaults_and_examples_are_valid(path: str, key: dict[str, Any]) -> None:
    whole = {**key, "$defs": schema()["$defs"]}
    checker = Draft202012Validator(whole)
    for value in (*key["examples"], *([key["default"]] if "default" in key else [])):
        if value != {}:  # what a table's default lacks is filled in
            checker.validate(value)
        assert tomli.loads(f"k = {toml_text.value(value)}") == {"k": value}, path


def test_no_table_takes_unknown_keys() -> None:
    open_tables = [
        path
        for path, each in EVERY
        if each.get("type") in ("object", ["string", "object"])
        and each.get("additionalProperties") is not False
        and not isinstance(each.get("additionalProperties"), dict)
    ]
    assert open_tables == ["/$defs/client/properties/daemon"]


def test_the_formats_are_those_of_the_code() -> None:
    used = {each["format"] for _, each in EVERY if isinstance(each.get("format"), str)}
    assert used == set(FORMATS)


def test_every_keyword_has_words() -> None:
    """A keyword that the wording does not know would be told by its bare name."""
    silent = {"$schema", "$ref", "$defs", "title", "description", "default", "examples"}
    silent |= {"x-engines"}
    structural = {"properties", "items", "propertyNames"}
    beside_a_format = {"pattern"}
    names = {key for _, each in KEYS for key in each}
    for name in ("ssh", "hosts", "registry", "tls", "user", "client", "login", "rollout", "smoke"):
        names |= set(definition(name))
        names |= set(definition(name).get("items", {}))
    assert names - silent - structural - beside_a_format <= set(_TRANSLATIONS)


def test_a_pattern_has_a_format_beside_it_that_says_the_same() -> None:
    with_pattern = [each for _, each in EVERY if isinstance(each.get("pattern"), str)]
    assert with_pattern
    for each in with_pattern:
        refuse = FORMATS[each["format"]]
        for text in ("", "a", "A", "-", "generate", "1%", "0%", "100%", "101%", "a-b", "a-", "é"):
            try:
                refuse(text)
                allowed = True
            except ValueError:
                allowed = False
            assert allowed == bool(re.search(each["pattern"], text)), (each["format"], text)


def test_what_is_implemented_is_in_the_schema() -> None:
    assert set(definition("registry")["properties"]["runtime"]["enum"]) == set(RUNTIMES)
    assert set(definition("client")["properties"]["engine"]["enum"]) == set(ENGINES)


def test_a_reference_is_resolved_under_its_own_keys() -> None:
    tls = resolved(definition("registry")["properties"]["tls"])
    assert tls["description"] == "How the registry proves who it is."
    assert tls["properties"]["source"]["default"] == "fleet-ca"


def test_defaults_are_not_shared() -> None:
    first = defaults.with_defaults("rollout", None)
    first["canary"] = 99
    assert defaults.with_defaults("rollout", None)["canary"] == 1


class TestTemplate:
    def test_it_is_a_fleet(self, tmp_path: Any) -> None:
        file = tmp_path / "fleet.toml"
        file.write_text(render_template("acme"), "utf-8")
        fleet = load(file)
        assert fleet.name == "acme"
        assert fleet.clients["build"].logins[0].user == "ci"
        assert fleet.warnings == ()

    @pytest.mark.parametrize("name", ["", "Ümlaut", "a b", "x" * 99, '"', "a\nb = 1"])
    def test_a_name_that_cannot_be(self, name: str) -> None:
        assert tomli.loads(render_template(name))["name"] == "fleet"

    def test_every_key_is_in_it(self) -> None:
        text = render_template("acme")
        for name in ("ssh", "registry", "tls", "client", "rollout", "smoke"):
            for key in definition(name)["properties"]:
                if key not in ("tls", "users"):
                    assert re.search(rf"^#?{key} = ", text, re.MULTILINE), key
        for key in ("tls", "users"):
            assert f"[registry.main.{key}]" in text

    def test_each_line_can_be_made_live(self) -> None:
        lines = render_template("acme").splitlines()
        hidden = [number for number, line in enumerate(lines) if re.match(r"#[a-z_]+ = ", line)]
        assert len(hidden) > 20
        for number in hidden:
            live = [*lines[:number], lines[number][1:], *lines[number + 1 :]]
            assert validate(tomli.loads("\n".join(live))) == [], lines[number]

    def test_what_is_hidden_is_the_default(self) -> None:
        """Making all lines with a default live changes nothing."""
        text = render_template("acme")
        for name in ("ssh", "registry", "tls", "client", "rollout", "smoke"):
            for key, default in defaults.with_defaults(name, None).items():
                if default not in ([], {}) and key not in ("tls", "users"):
                    assert f"#{key} = {toml_text.value(default)}\n" in text

    def test_no_line_is_too_wide(self) -> None:
        assert max(map(len, render_template("acme").splitlines())) <= 96
