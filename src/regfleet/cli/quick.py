"""What a command need not wait for when it starts and ends.

Nothing here changes what is done. Each measure is worth a few hundredths of a second, beside a
connection to a host that takes as long; `make bench` tells.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any


@contextmanager
def importing() -> Iterator[None]:
    """A time in which modules are imported: what comes of that stays, and is no garbage.

    The collector would look through it again and again, and once more when the process ends
    (gc, `freeze`).
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def ending() -> None:
    """Nothing is collected any more: the process ends, and its memory with it."""
    gc.freeze()


def patch() -> None:
    """Patch the standard library for gevent; before anything opens a socket.

    gevent looks for plugins that want to know of it, and for each module that it patches reads the
    metadata of every installed distribution (gevent.events, notify_and_call_entry_points).
    Subscribers in this process are told all the same.
    """
    events, asks_around = vars(import_module("gevent.events")), "notify_and_call_entry_points"
    before = events[asks_around]
    events[asks_around] = events["notify"]
    try:
        import_module("gevent.monkey").patch_all()
    finally:
        events[asks_around] = before


def defer(name: str, *called: str) -> None:
    """Import a module when something is first asked of it, whoever imports it before.

    Args:
        name: a module.
        called: what is imported from it by name, and is called at most.
    """
    if name not in sys.modules and find_spec(name):
        sys.modules[name] = _Deferred(name, called)


class _Deferred(ModuleType):
    """Stands in for a module, and passes on what is asked of it.

    Not importlib's LazyLoader: its modules are loaded by the next `import` already, which looks
    whether they are being initialized.
    """

    def __init__(self, name: str, called: Sequence[str]) -> None:
        super().__init__(name)
        self._called = called

    def __getattr__(self, attribute: str) -> object:
        if attribute == "__path__":  # asked by `from ... import`: whether there are submodules
            raise AttributeError(attribute)
        return (
            partial(self._call, attribute) if attribute in self._called else self._find(attribute)
        )

    def _call(self, attribute: str, *args: object, **options: object) -> object:
        return self._find(attribute)(*args, **options)

    def _find(self, attribute: str) -> Any:  # noqa: ANN401  a module has everything
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), attribute)


def defer_checks() -> None:
    """Defer what pyinfra imports to check versions and types; nothing here asks it to.

    A deployment may name the version that it needs, and `run.ssh` gives hosts data whose types
    mypy has checked. `typeguard` brings unittest and asyncio with it.
    """
    defer("typeguard", "check_type", "TypeCheckError")
    defer("packaging.markers", "Marker")
    defer("packaging.requirements", "Requirement")
    defer("packaging.specifiers", "SpecifierSet")
    defer("packaging.version", "Version")
