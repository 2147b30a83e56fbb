"""Edits TOML files of others in place: containerd's config.toml and hosts.toml, buildkitd.toml.

A new key goes after the last key of its table, a new table after its relatives or at the end, with
their indentation. New tables get a header of their own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import TypeGuard

import tomli

from regfleet.documents import brackets
from regfleet.documents.edited import (
    CannotEditError,
    EditedDocument,
    after_comments,
    cut_lines,
    indentation,
    insert_lines,
    line_end,
    line_number,
    line_start,
)
from regfleet.documents.interface import NotReadableError, Parts, parts, path
from regfleet.documents.toml_scan import Pair, Section, Value, scan
from regfleet.fleet import toml_text
from regfleet.fleet.values import Json


def parse(text: str | None) -> TomlDocument:
    """A TOML file as a document; an absent one is empty.

    Raises:
        NotReadableError: it is not TOML.
    """
    return TomlDocument(text or "")


class TomlDocument(EditedDocument):
    """A TOML file."""

    def line(self, key: str) -> int:
        """See Document."""
        place = parts(key)
        while place:
            for section in scan(self._text):
                if section.place[: len(place)] == place:
                    return line_number(self._text, section.start)
                for pair in _all_pairs(section.pairs):
                    if pair.place[: len(place)] == place and not section.listed:
                        return line_number(self._text, pair.start)
            place = place[:-1]
        return 0

    def has_table(self, key: str) -> bool:
        """See Document."""
        place = parts(key)
        return any(
            section.place == place
            or any(
                pair.place[: len(place)] == place
                for pair in _all_pairs(section.pairs)
                if len(section.place) < len(place)
            )
            for section in _reachable(self._text)
        )

    def prune(self, key: str) -> None:
        """See Document."""
        place = parts(key)
        empty = [section for section in _sections_at(self._text, place) if not section.pairs]
        if empty and not _is_commented(self._text, empty[0]):
            text = _cut_section(self._text, empty[0])
            self._replace_text(place, "taken out", lambda: text, self.tree(), place)
        elif self.get(key) == {} and not _sections_at(self._text, place):
            del self[key]

    def _parse_text(self, text: str) -> dict[str, Json]:
        try:
            tree = _to_json(tomli.loads(text))
            scan(text)
        except (tomli.TOMLDecodeError, RecursionError) as error:
            found = re.search(r"\(at line (\d+), column \d+\)", str(error))
            message = str(error).replace(found[0], "").strip() if found else str(error)
            raise NotReadableError(f"not TOML: {message}", int(found[1]) if found else 0) from error
        return tree if isinstance(tree, dict) else {}

    def _set_in_text(self, place: Parts, value: Json) -> str:
        text = self._text
        pair = _pair_at(text, place)
        if pair:
            _refuse_unrestorable(text, pair.value)
            return _replace_value(text, pair.value, self.get(path(*place)), value)
        if path(*place) in self:
            text = self._cut_from_text(place)
        return _add_value(text, place, value)

    def _cut_from_text(self, place: Parts) -> str:
        text = self._text
        while (shorter := _cut_one(text, place)) is not None:
            text = shorter
        return text


def _to_json(value: object) -> Json:
    """A value from tomli as JSON; types that JSON lacks (dates, times, nan) become strings."""
    if isinstance(value, dict):
        return {name: _to_json(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_to_json(inner) for inner in value]
    return value if _is_json(value) else str(value)


def _is_json(value: object) -> TypeGuard[str | int | float]:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | int)


def _all_pairs(pairs: Sequence[Pair]) -> Iterator[Pair]:
    for pair in pairs:
        yield pair
        yield from _all_pairs(pair.value.pairs)


def _reachable(text: str) -> list[Section]:
    return [section for section in scan(text) if not section.listed]


def _sections_at(text: str, place: Parts) -> list[Section]:
    return [section for section in _reachable(text) if section.place == place]


def _pair_at(text: str, place: Parts) -> Pair | None:
    pairs = (pair for section in _reachable(text) for pair in _all_pairs(section.pairs))
    return next((pair for pair in pairs if pair.place == place), None)


# ---- a value that is there ----


def _replace_value(text: str, there: Value, old: Json, new: Json) -> str:
    if there.kind == "array" and isinstance(old, list) and isinstance(new, list):
        return _edit_array(text, there, old, new)
    written = _render_value(new)
    literal = text[there.start] == "'" and not text.startswith("'''", there.start)
    if literal and isinstance(new, str) and re.fullmatch(r"[^'\x00-\x08\x0a-\x1f\x7f]*", new):
        written = f"'{new}'"
    return text[: there.start] + written + text[there.end :]


def _refuse_unrestorable(text: str, there: Value) -> None:
    """Refuse to overwrite a value that the ownership record cannot hold, and so not restore."""
    written = text[there.start : there.end]
    if there.kind == "plain" and not _is_json(tomli.loads(f"x = {written}")["x"]):
        raise CannotEditError(f"{written} could not be restored later")


def _edit_array(text: str, there: Value, old: list[Json], new: list[Json]) -> str:
    """Add new items first, while old items are there to take the style from."""
    stays = brackets.kept(old, new)
    spans = [(item.start, item.end) for item in there.items]
    for item in new[sum(stays) :]:
        text = brackets.append(text, there.start, spans, _render_value(item))
        spans = [(each.start, each.end) for each in _value_from(text, there.start).items]
    for index in reversed(range(len(old))):
        if not stays[index]:
            text = brackets.remove(text, spans, index)
            spans = [(each.start, each.end) for each in _value_from(text, there.start).items]
    return text


def _value_from(text: str, start: int) -> Value:
    values = (
        value
        for section in scan(text)
        for pair in _all_pairs(section.pairs)
        for value in _all_values(pair.value)
    )
    return next(value for value in values if value.start == start)


def _all_values(value: Value) -> Iterator[Value]:
    yield value
    for item in value.items:
        yield from _all_values(item)


def _render_value(value: Json) -> str:
    if value is None:
        raise CannotEditError("TOML has no null")
    return toml_text.value(value)


# ---- a value that is new ----


def _add_value(text: str, place: Parts, value: Json) -> str:
    if isinstance(value, dict):
        text = text if _table_exists(text, place) else _add_section(text, place, [])
        for name, inner in value.items():
            text = _add_value(text, (*place, name), inner)
        return text
    around = place[:-1]
    for length in range(len(around), 0, -1):
        pair = _pair_at(text, place[:length])
        if pair and pair.value.kind == "table":
            inner_value: Json = value
            for name in reversed(place[length + 1 :]):
                inner_value = {name: inner_value}
            item = f"{toml_text.key(place[length])} = {_render_value(inner_value)}"
            spans = [(each.start, each.value.end) for each in pair.value.pairs]
            return brackets.append(text, pair.value.start, spans, item)
    sections = _sections_at(text, around)
    if sections:
        return _add_pair(text, sections[0], place[-1:], value)
    dotted = [
        (section, pair)
        for section in _reachable(text)
        for pair in section.pairs
        if len(pair.place) > len(around) > len(section.place)
        and pair.place[: len(around)] == around
    ]
    if dotted:
        section, pair = dotted[-1]
        return _add_pair(text, section, place[len(section.place) :], value, behind=pair)
    return _add_section(text, around, [_render_pair(place[-1:], value)])


def _table_exists(text: str, place: Parts) -> bool:
    """Whether a table exists, by its header or by its content."""
    return any(
        section.place[: len(place)] == place or any(p.place[: len(place)] == place for p in pairs)
        for section in _reachable(text)
        for pairs in [list(_all_pairs(section.pairs))]
    )


def _add_pair(
    text: str, section: Section, names: Parts, value: Json, behind: Pair | None = None
) -> str:
    line = _render_pair(names, value)
    last = behind or (section.pairs[-1] if section.pairs else None)
    if last:
        below = line_end(text, last.value.end)
        position = after_comments(text, below, blanks=False)
        return insert_lines(text, position, [indentation(text, last.start) + line])
    if section.kind == "root":
        return insert_lines(text, _first_key_position(text), [line])
    indent = indentation(text, section.start) + _step_to_pairs(text)
    position = after_comments(text, line_end(text, section.header_end), blanks=False)
    return insert_lines(text, position, [indent + line])


def _render_pair(names: Parts, value: Json) -> str:
    return f"{'.'.join(toml_text.key(name) for name in names)} = {_render_value(value)}"


def _first_key_position(text: str) -> int:
    """The position for a file's first key: after an opening comment that a blank line ends."""
    end = _comment_lines(text, 0)
    return end if not text[end : line_end(text, end)].strip() else 0


def _add_section(text: str, place: Parts, lines: Sequence[str]) -> str:
    if not place:
        raise CannotEditError("there is no table for it")
    sections = scan(text)
    indent = _indent_for(text, place)
    step = _step_to_pairs(text)
    header = f"[{'.'.join(toml_text.key(name) for name in place)}]"
    block = [indent + header, *(indent + step + line for line in lines)]
    shared = [_count_shared(section.place, place) for section in sections]
    if max(shared) == 0:
        position = len(text)
    else:
        last = max(index for index, count in enumerate(shared) if count == max(shared))
        position = _position_after(text, sections[last])
    if text[:position]:
        block.insert(0, "")
    return insert_lines(text, position, block)


def _count_shared(one: Parts, other: Parts) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _position_after(text: str, section: Section) -> int:
    """The position for a table after a section: after its comments, before the next one's."""
    after = line_end(text, section.end)
    comments = _comment_lines(text, after)
    return after if text[comments : line_end(text, comments)].strip() else comments


def _comment_lines(text: str, position: int) -> int:
    """The end of the comment lines that start at a position."""
    while text[position : line_end(text, position)].lstrip().startswith("#"):
        position = line_end(text, position)
    return position


def _step_to_pairs(text: str) -> str:
    """The indentation that this file adds to a table's keys under its header."""
    for section in scan(text):
        if section.kind != "root" and section.pairs:
            header = indentation(text, section.start)
            return indentation(text, section.pairs[0].start).removeprefix(header)
    return ""


def _indent_for(text: str, place: Parts) -> str:
    """The indentation of a new header: that of its siblings, else one step more than its parent."""
    sections = [section for section in scan(text) if section.kind != "root"]
    depth = len(place)
    for section in reversed(sections):
        if len(section.place) == depth and section.place[:-1] == place[:-1]:
            return indentation(text, section.start)
    around = [each for each in sections if each.place == place[: len(each.place)]]
    for section in sorted(around, key=lambda each: len(each.place), reverse=True):
        steps = depth - len(section.place)
        return indentation(text, section.start) + _table_step(text, sections) * steps
    return ""


def _table_step(text: str, sections: Sequence[Section]) -> str:
    """The indentation that this file adds to a table in a table."""
    by_place = {section.place: indentation(text, section.start) for section in sections}
    for place, indent in by_place.items():
        outer = by_place.get(place[:-1])
        if outer is not None and indent.startswith(outer):
            return indent.removeprefix(outer)
    return ""


# ---- a value that goes ----


def _cut_one(text: str, place: Parts) -> str | None:
    """The text without one section or pair at or under a place; None when there is none."""
    for section in scan(text):
        if section.kind != "root" and section.place[: len(place)] == place:
            return _cut_section(text, section)
    for section in _reachable(text):
        cut = _cut_pair(text, section.pairs, place, inline=None)
        if cut is not None:
            return cut
    return None


def _cut_pair(text: str, pairs: Sequence[Pair], place: Parts, inline: Value | None) -> str | None:
    for index, pair in enumerate(pairs):
        if pair.place[: len(place)] == place:
            if inline:
                spans = [(each.start, each.value.end) for each in pairs]
                return brackets.remove(text, spans, index)
            start, end = line_start(text, pair.start), line_end(text, pair.value.end)
            return cut_lines(text, start, end)
        cut = _cut_pair(text, pair.value.pairs, place, inline=pair.value)
        if cut is not None:
            return cut
    return None


def _cut_section(text: str, section: Section) -> str:
    start = line_start(text, section.start)
    end = line_end(text, section.end)
    before = line_start(text, start - 1) if start else 0
    if start and not text[before:start].strip():
        start = before
    return cut_lines(text, start, end)


def _is_commented(text: str, section: Section) -> bool:
    """Whether an empty table has its own comment: beside its header, or directly under it.

    Comment lines directly above the next header belong to that header.
    """
    after = line_end(text, section.header_end)
    if "#" in text[section.header_end : after]:
        return True
    end = _comment_lines(text, after)
    follows = text[end : line_end(text, end)].strip()
    return end > after and not follows.startswith("[")
