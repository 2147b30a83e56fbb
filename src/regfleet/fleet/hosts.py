"""The items of a `hosts` list: expands ranges, checks names and addresses."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, overload

from regfleet.fleet.addresses import check_address, is_ipv6
from regfleet.fleet.findings import RefusedError, Table
from regfleet.fleet.machines import LOCAL
from regfleet.fleet.toml_text import shown

MAX_HOSTS = 100_000
_RANGE = re.compile(r"\[([0-9]+|[A-Za-z]):([0-9]+|[A-Za-z])(?::([0-9]+))?\]", re.ASCII)
_LONGEST_NUMBER = 9
_FORMS = 'a range is "web[01:20]", "web[0:100:10]" or "web[a:f]"'


class NamedHost(NamedTuple):
    """The name and the address of a host, as an item of a list declares them."""

    name: str
    address: str


def hosts_of_item(item: str | Table) -> Iterator[NamedHost]:
    """The hosts that one item of a `hosts` list stands for.

    A string or a table's name may hold ranges. A table's address, when it has one, must then
    expand to as many addresses.

    Args:
        item: `"web[01:20].example.com"`, or a table with `name` and perhaps `address`.

    Raises:
        RefusedError: the numbers of names and addresses differ.
    """
    if isinstance(item, str):
        return (NamedHost(name, _default_address(name)) for name in expand(item))
    name, address = item["name"], item.get("address")
    if address is None:
        return hosts_of_item(name)
    names, addresses = count(name), count(address)
    if names != addresses:
        raise RefusedError(
            f"has names for {names} and addresses for {addresses}", "give both the same range"
        )
    return itertools.starmap(NamedHost, zip(expand(name), expand(address), strict=True))


def _default_address(name: str) -> str:
    return "localhost" if name == LOCAL else name


def check_host(pattern: str) -> None:
    """Refuses a host's name, or a range of names, that is not valid; `@local` is valid.

    Raises:
        RefusedError: with what is wrong.
    """
    if pattern == LOCAL:
        return
    if pattern.startswith("@"):
        raise RefusedError(f"{shown(pattern)} is not known", f'write "{LOCAL}" for this machine')
    check_host_address(pattern)


def check_host_address(pattern: str) -> None:
    """Refuses an address, or a range of addresses, that is not valid.

    Checking the first and the last address of a range is enough: between them only digits or
    letters change, and their number stays.

    Raises:
        RefusedError: with what is wrong.
    """
    if "[" not in pattern or "@" in pattern or is_ipv6(pattern.strip("[]")):
        check_address(pattern)
        return
    count(pattern)
    parts = _split_ranges(pattern)
    check_address("".join(part[0] for part in parts))
    check_address("".join(part[-1] for part in parts))


def count(pattern: str) -> int:
    """How many names a pattern stands for, without making them.

    Raises:
        RefusedError: more than MAX_HOSTS, or a range that is not valid.
    """
    size = math.prod(len(part) for part in _split_ranges(pattern))
    if size > MAX_HOSTS:
        raise RefusedError(f"stands for {size} hosts", f"declare {MAX_HOSTS} at most")
    return size


def expand(pattern: str) -> Iterator[str]:
    """The names that a pattern stands for, the last range changing fastest.

    Raises:
        RefusedError: as `count` does.
    """
    if "[" not in pattern:
        return iter((pattern,))
    count(pattern)
    return map("".join, itertools.product(*_split_ranges(pattern)))


class _Range(Sequence[str]):
    """The texts of one range, as a sequence that makes each text on access."""

    def __init__(self, numbers: range, width: int) -> None:
        self._numbers = numbers
        self._width = width  # of a zero-padded number; 0 for letters

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return _Range(self._numbers[index], self._width)
        number = self._numbers[index]
        return f"{number:0{self._width}d}" if self._width else chr(number)


def _split_ranges(pattern: str) -> list[Sequence[str]]:
    """The literal texts and the ranges of a pattern, in turn."""
    literals = _RANGE.split(pattern)[::4]
    if any("[" in text or "]" in text for text in literals):
        raise RefusedError(f"{shown(pattern)} has a range that cannot be read", _FORMS)
    parts: list[Sequence[str]] = [[literals[0]]]
    for match, literal in zip(_RANGE.finditer(pattern), literals[1:], strict=True):
        parts += [_parse_range(*match.groups()), [literal]]
    return parts


def _parse_range(first: str, last: str, step: str | None) -> _Range:
    written = f"[{first}:{last}{':' + step if step else ''}]"
    if max(len(first), len(last), len(step or "")) > _LONGEST_NUMBER:
        raise RefusedError(f"{shown(written)} stands for too many hosts", _FORMS)
    if int(step or 1) == 0:
        raise RefusedError(f"{written} has a step of 0", _FORMS)
    if first.isdigit() != last.isdigit() or first.isupper() != last.isupper():
        raise RefusedError(f"{written} mixes digits with letters, or upper with lower case", _FORMS)
    padded = any(len(end) > 1 and end.startswith("0") for end in (first, last))
    if padded and len(first) != len(last):
        raise RefusedError(
            f"{written} pads its ends differently",
            f"write [{first.zfill(len(last))}:{last.zfill(len(first))}]",
        )
    low, high = (int(first), int(last)) if first.isdigit() else (ord(first), ord(last))
    if low > high:
        raise RefusedError(f"{written} ends before it begins", f"write [{last}:{first}]")
    width = (len(first) if padded else 1) if first.isdigit() else 0
    return _Range(range(low, high + 1, int(step or 1)), width)
