"""Lists of hosts from elsewhere, as items of a `hosts` list. Pure.

The text tells its format: a JSON object with groups is an Ansible inventory (as
`ansible-inventory --list` and dynamic inventory scripts print it: docs.ansible.com, "Developing
dynamic inventory"), one with texts alone maps names to addresses, a JSON array or one JSON value
a line is a list of hosts, a first line with the column `name` is CSV, and anything else has one
host a line.
"""

from __future__ import annotations

import csv
import functools
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from regfleet.fleet.findings import RefusedError, did_you_mean
from regfleet.fleet.hosts import MAX_HOSTS
from regfleet.fleet.toml_text import shown

Item: TypeAlias = "str | dict[str, Any]"
"""What a `hosts` list holds: a name, or a table with `name`, `address` and `ssh`."""

_SSH = ("user", "port", "key")
_COLUMNS = ("name", "address", *_SSH)
# Ansible's connection variables (docs.ansible.com, "How to build your inventory").
_ANSIBLE = {
    "address": ("ansible_host", "ansible_ssh_host"),
    "user": ("ansible_user", "ansible_ssh_user"),
    "port": ("ansible_port", "ansible_ssh_port"),
    "key": ("ansible_ssh_private_key_file", "ansible_private_key_file"),
}


def parse(text: str, group: str | None = None) -> list[Item]:
    """The hosts that a text lists.

    Args:
        group: of an Ansible inventory; without it, all hosts.

    Raises:
        RefusedError: the text cannot be read, has no host or more than `MAX_HOSTS`, or has no such
            group.
    """
    stripped = text.strip()
    if not stripped:
        raise RefusedError("lists no host", "it is empty")
    found = list(_items(stripped, group))
    if not found:
        where = f"the group {shown(group)} has none" if group else ""
        raise RefusedError("lists no host", where)
    if len(found) > MAX_HOSTS:
        raise RefusedError(f"lists {len(found)} hosts", f"{MAX_HOSTS} are the most")
    return found


def _items(text: str, group: str | None) -> Iterator[Item]:
    whole = _whole_json(text)
    if isinstance(whole, dict) and "name" not in whole:
        if group is None and all(isinstance(each, str) for each in whole.values()):
            yield from ({"name": name, "address": address} for name, address in whole.items())
        else:
            yield from _ansible(whole, group or "all")
        return
    if group is not None:
        raise RefusedError(
            "is no Ansible inventory, and `group` names a group of one",
            "leave `group` out, or print the inventory as JSON: ansible-inventory --list",
        )
    if isinstance(whole, (dict, list)):
        listed = whole if isinstance(whole, list) else [whole]
        yield from (_json_item(each, number) for number, each in enumerate(listed, 1))
    elif text.startswith("{"):
        yield from _json_lines(text)
    elif _is_csv(text):
        yield from _csv(text)
    else:
        lines = (line.partition("#")[0].strip() for line in text.splitlines())
        yield from filter(None, lines)


def _whole_json(text: str) -> Any:  # noqa: ANN401 - what JSON has
    """The text as one JSON value; None where it is something else."""
    if text[0] not in "{[":
        return None
    try:
        return json.loads(text)
    except RecursionError:
        raise RefusedError("is JSON that is nested too deep") from None
    except ValueError as error:
        if text[0] == "{" and "\n" in text and str(error).startswith("Extra data"):
            return None
        raise RefusedError(f"is not JSON: {error}", "it begins as JSON does") from None


def _json_lines(text: str) -> Iterator[Item]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise RefusedError(f"is not JSON in line {number}: {error}") from None
            yield _json_item(value, number)


def _json_item(value: object, number: int) -> Item:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        raise RefusedError(
            f"has neither a name nor an object as host {number}",
            'a host is "web1", or { "name": "web1", "address": "192.0.2.1" }',
        )
    nested = value.get("ssh")
    return _table(
        {**value, **nested} if isinstance(nested, dict) else value, f"host {number}", ("ssh",)
    )


def _is_csv(text: str) -> bool:
    columns = [each.strip() for each in text.splitlines()[0].split(",")]
    return "name" in columns


def _csv(text: str) -> Iterator[Item]:
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True, strict=True)
    try:
        for row in reader:
            filled = {key.strip(): value.strip() for key, value in row.items() if key and value}
            if filled:
                yield _table(filled, f"line {reader.line_num}")
    except csv.Error as error:
        raise RefusedError(f"is not CSV in line {reader.line_num}: {error}") from None


def _table(values: Mapping[str, Any], where: str, also: Iterable[str] = ()) -> Item:
    """A host's table from flat values; others are ignored unless they look like a slip."""
    for key in values:
        if key not in _COLUMNS and key not in also:
            slip = _slip(key)
            if slip:
                raise RefusedError(f"has {shown(key)} in {where}, which is not known", slip)
    if not values.get("name"):
        raise RefusedError(f"has no name in {where}", "each host needs one")
    found: dict[str, Any] = {"name": values["name"]}
    if values.get("address"):
        found["address"] = values["address"]
    ssh = {key: _ssh_value(key, values[key]) for key in _SSH if values.get(key)}
    return {**found, "ssh": ssh} if ssh else found


@functools.lru_cache(maxsize=1000)
def _slip(key: str) -> str:
    """What a key was meant to be; empty for one that is nothing of ours. The same in each row."""
    return did_you_mean(key, _COLUMNS)


def _ssh_value(key: str, value: object) -> object:
    digits = key == "port" and isinstance(value, str) and value.isascii() and value.isdigit()
    return int(str(value)) if digits and len(str(value)) < 6 else value  # noqa: PLR2004 - 65535


def _ansible(inventory: Mapping[str, Any], group: str) -> Iterator[Item]:
    meta = inventory.get("_meta")
    known = meta.get("hostvars") if isinstance(meta, dict) else None
    variables = known if isinstance(known, dict) else {}
    groups = {name for name in inventory if name != "_meta"}
    if group != "all" and group not in groups:
        raise RefusedError(
            f"has no group {shown(group)}",
            did_you_mean(group, groups, f"it has {', '.join(sorted(groups)[:20])}"),
        )
    wanted = sorted(groups) if group == "all" else [group]
    names = _members(inventory, wanted)
    for name in names:
        own = variables.get(name)
        mine = own if isinstance(own, dict) else {}
        values = {
            key: next((mine[each] for each in those if mine.get(each)), None)
            for key, those in _ANSIBLE.items()
        }
        yield _table({"name": name, **values}, f"host {shown(name)}")


def _members(inventory: Mapping[str, Any], groups: Iterable[str]) -> list[str]:
    """The hosts of groups and of the groups in them, each once. A group is an object or a list."""
    names: dict[str, None] = {}
    todo, seen = list(groups)[::-1], set[str]()
    while todo:
        group = todo.pop()
        if group in seen:
            continue
        seen.add(group)
        found = inventory.get(group)
        whole = found if isinstance(found, dict) else {"hosts": found}
        names.update(dict.fromkeys(_texts(whole.get("hosts"))))
        todo += _texts(whole.get("children"))[::-1]
    return list(names)


def _texts(value: object) -> list[str]:
    listed = value if isinstance(value, (list, dict)) else ()
    return [each for each in listed if isinstance(each, str)]
