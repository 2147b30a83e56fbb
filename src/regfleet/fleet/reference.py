"""The reference of the fleet file: the schema as Markdown, a section for each table. Pure.

`python -m regfleet.fleet.reference > docs/reference.md` writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from regfleet.errors import UsageError
from regfleet.fleet import toml_text
from regfleet.fleet.findings import Table, did_you_mean
from regfleet.fleet.schema import resolved, schema
from regfleet.terminal.streams import out

_TOP = "fleet"  # the section of the keys before any table
_HEAD = """\
# The fleet file

Every key, by table. Generated from [schema/fleet.schema.json](../schema/fleet.schema.json) by
`python -m regfleet.fleet.reference > docs/reference.md`; `regfleet docs SECTION` prints a section
of it.
"""
_PLAIN_TYPES = {
    "array": "list",
    "boolean": "boolean",
    "integer": "integer",
    "object": "table",
    "string": "string",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table.

    Attributes:
        type: in words: `string`, `list of strings`, `"strict", "accept-new" or "off"`.
        default: as TOML; empty where there is none.
        examples: values as TOML.
        below: the name of the section that documents the tables in it, or empty.
    """

    name: str
    type: str
    required: bool
    default: str
    examples: tuple[str, ...]
    description: str
    below: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One table.

    Attributes:
        name: the table's name without the names that users choose: `registry.tls`.
        header: the table's header in TOML: `[registry.NAME.tls]`; empty for the top level.
        also: the names of other places where the same table may stand.
    """

    name: str
    header: str
    description: str
    keys: tuple[Key, ...]
    also: tuple[str, ...] = ()


def sections(of: Table | None = None) -> tuple[Section, ...]:
    """Every table of the schema, in its order, each once.

    Args:
        of: the schema; the fleet file's own by default.
    """
    whole = schema() if of is None else of
    found: dict[str, Section] = {}
    _add_sections(whole, _Place((), ()), found, {})
    # Two keys of one table may be tables of one kind: both lead to the section of the first.
    names = {alias: each.name for each in found.values() for alias in each.also}
    return tuple(
        replace(
            section,
            keys=tuple(replace(key, below=names.get(key.below, key.below)) for key in section.keys),
        )
        for section in found.values()
    )


def find(wanted: str) -> tuple[Section, ...]:
    """A section and those below it, or one key of a section.

    Args:
        wanted: `client`, `registry.tls`, `client.mirrors`, `[registry.NAME.tls]`.

    Raises:
        UsageError: there is no such section or key.
    """
    every = sections()
    names = {alias: each for each in every for alias in (each.name, *each.also)}
    name = ".".join(part for part in wanted.strip("[] ").split(".") if part != "NAME")
    if name in names:
        first = names[name]
        below = [each for each in every if each.name.startswith(f"{first.name}.")]
        return (first, *below)
    keys = {
        (key.name if each.name == _TOP else f"{alias}.{key.name}"): replace(each, keys=(key,))
        for each in every
        for alias in (each.name, *each.also)
        for key in each.keys
    }
    if name in keys:
        return (keys[name],)
    otherwise = f"sections are {', '.join(each.name for each in every)}"
    raise UsageError(
        f"the fleet file has no section {toml_text.shown(wanted)}",
        did_you_mean(name, (*names, *keys), otherwise),
    )


def render(chosen: Iterable[Section]) -> str:
    """Sections as Markdown."""
    return "\n".join(line for section in chosen for line in _section_lines(section))


def reference() -> str:
    """The whole of docs/reference.md."""
    every = sections()
    contents = "\n".join(f"* {_link(each.name)}" for each in every)
    return f"{_HEAD}\n{contents}\n\n{render(every)}"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a table stands: `names` leaves out users' own names, `header` has NAME for them."""

    names: tuple[str, ...]
    header: tuple[str, ...]
    listed_items: bool = False

    def at(self, key: str) -> _Place:
        return _Place((*self.names, key), (*self.header, key))

    def named(self) -> _Place:
        return _Place(self.names, (*self.header, "NAME"))

    def listed(self) -> _Place:
        return replace(self, listed_items=True)

    @property
    def written(self) -> str:
        """As a header in TOML; empty at the top."""
        inner = ".".join(self.header)
        return f"[[{inner}]]" if self.listed_items else f"[{inner}]" if inner else ""


def _add_sections(
    table: Table, place: _Place, found: dict[str, Section], by_reference: dict[str, str]
) -> None:
    """Add the section of a table, then the sections of the tables in it."""
    name = ".".join(place.names) or _TOP
    inside = {key: _table_in(value, place.at(key)) for key, value in table["properties"].items()}
    keys = tuple(
        _document_key(
            key,
            value,
            key in table.get("required", ()),
            _section_name_of(inside[key], by_reference),
        )
        for key, value in table["properties"].items()
    )
    found[name] = Section(name, place.written, table.get("description", ""), keys)
    for key, value in table["properties"].items():
        within = inside[key]
        if within is None:
            continue
        known = by_reference.get(within.reference)
        if known:
            alias = ".".join(within.place.names)
            found[known] = replace(found[known], also=(*found[known].also, alias))
            continue
        if within.reference:
            by_reference[within.reference] = ".".join(within.place.names)
        description = resolved(value).get("description", "")
        _add_sections(
            {**within.table, "description": description}, within.place, found, by_reference
        )
        if "items" in resolved(value) and "properties" in resolved(value):
            _add_instead(key, value, found)


def _add_instead(key: str, value: Table, found: dict[str, Section]) -> None:
    """Add the section of a table that may stand in place of a list."""
    whole = resolved(value)
    name = f"{key} from elsewhere"
    keys = tuple(
        _document_key(each, inner, required=False, below="")
        for each, inner in whole["properties"].items()
    )
    found[name] = Section(name, f"{key} = {{}}", "In place of a list:", keys)


@dataclass(frozen=True, slots=True)
class _InnerTable:
    """A table that is, or is inside, a key's value. `reference` is its `$ref`, or empty."""

    table: Table
    place: _Place
    reference: str


def _table_in(subschema: Table, place: _Place) -> _InnerTable | None:
    """The table in a value that gets a section of its own; None for plain values."""
    reference = str(subschema.get("$ref", ""))
    whole = resolved(subschema)
    if "properties" in whole and "items" not in whole:  # what a list can be instead: below
        return _InnerTable(whole, place, reference)
    for holder, at in (("additionalProperties", place.named()), ("items", place.listed())):
        held = whole.get(holder)
        if isinstance(held, Mapping) and "properties" in resolved(held):
            return _InnerTable(resolved(held), at, str(held.get("$ref", "")) or reference)
    return None


def _section_name_of(inside: _InnerTable | None, by_reference: Mapping[str, str]) -> str:
    if inside is None:
        return ""
    return by_reference.get(inside.reference, ".".join(inside.place.names))


def _document_key(name: str, subschema: Table, required: bool, below: str) -> Key:
    whole = resolved(subschema)
    return Key(
        name,
        _type_words(whole),
        required,
        toml_text.value(whole["default"]) if "default" in whole else "",
        tuple(toml_text.value(example) for example in whole["examples"]),
        whole["description"],
        below,
    )


def _type_words(subschema: Table) -> str:
    if "const" in subschema:
        return f"always {toml_text.value(subschema['const'])}"
    if "enum" in subschema:
        return _join_with_or([toml_text.value(each) for each in subschema["enum"]])
    written = subschema["type"]
    names = [written] if isinstance(written, str) else written
    if "items" in subschema:
        item = _type_words(resolved(subschema["items"]))
        listed = f"list of {' or '.join(f'{each}s' for each in item.split(' or '))}"
        return ", or ".join([listed, *(_PLAIN_TYPES[each] for each in names if each != "array")])
    held = subschema.get("additionalProperties")
    if names == ["object"] and isinstance(held, Mapping):
        plain = "properties" not in resolved(held)
        return f"table of {_type_words(resolved(held))}" if plain else "table of tables"
    return _join_with_or([f"{_PLAIN_TYPES[each]}{_limit_words(each, subschema)}" for each in names])


def _limit_words(type_name: str, subschema: Table) -> str:
    if type_name != "integer" or "minimum" not in subschema:
        return ""
    low, high = subschema["minimum"], subschema.get("maximum")
    return f" from {low} on" if high is None else f" from {low} to {high}"


def _join_with_or(words: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _section_lines(section: Section) -> Iterator[str]:
    yield f"## {section.name}"
    yield ""
    written = f"Written `{section.header}`. " if section.header else ""
    also = (
        f"Also as {_join_with_or([f'`{each}`' for each in section.also])}." if section.also else ""
    )
    yield f"{written}{section.description} {also}".strip()
    yield ""
    for key in section.keys:
        yield from _key_lines(key)


def _key_lines(key: Key) -> Iterator[str]:
    default = "required" if key.required else f"default `{key.default}`" if key.default else ""
    kind = f"`{key.type}`" if '"' in key.type else key.type
    yield f"* **`{key.name}`**: {', '.join(filter(None, (kind, default or 'no default')))}"
    yield ""
    below = f" See {_link(key.below)}." if key.below else ""
    yield f"  {key.description}{below}"
    yield ""
    examples = _join_with_or(
        [f"`{toml_text.key(key.name)} = {example}`" for example in key.examples]
    )
    yield f"  Example: {examples}"
    yield ""


def _link(section: str) -> str:
    """A link to a section's heading; GitHub drops the dots from a heading's anchor."""
    return f"[{section}](#{section.replace('.', '').replace(' ', '-')})"


if __name__ == "__main__":
    out(reference().removesuffix("\n"))
