"""What a command need not wait for when it starts and ends.

Nothing here changes what is done. Each measure is worth a few hundredths of a second, beside a
connection to a host that takes as long; `make bench` tells.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


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


def defer(name: str) -> None:
    """Import a module when something is first asked of it, whoever imports it before.

    Args:
        name: a module at the top level.
    """
    if name not in sys.modules and find_spec(name):
        sys.modules[name] = _Deferred(name)


class _Deferred(ModuleType):
    """Stands in for a module, and passes on what is asked of it.

    Not importlib's LazyLoader: its modules are loaded by the next `import` already, which looks
    whether they are being initialized.
    """

    def __getattr__(self, attribute: str) -> object:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        found: object = getattr(import_module(self.__name__), attribute)
        return found
