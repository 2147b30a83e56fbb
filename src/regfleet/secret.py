"""A string that does not print itself."""

from __future__ import annotations

from typing import NoReturn


class Secret:
    """Holds a secret, and is `[secret]` when it is formatted or logged.

    Only `reveal()` returns the value, so `grep reveal` finds each place that uses it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself."""
        return self._value

    def __repr__(self) -> str:
        return "[secret]"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format("[secret]", spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("regfleet.Secret", self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not serialised; call reveal() where it must leave")
