"""What the look, the touch and the smoke test have in common on a host: `common.sh`.

Each of them is its own `.sh` files behind this one, and those of the engines that it meets there;
nothing else is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files


def program(package: str, *names: str, engines: Sequence[str] = ()) -> str:
    """The common functions and the named files of a package, one after the other.

    Args:
        engines: shell words of engines; each adds its `engines/WORD.STAGE.sh`, where STAGE is
            the package's last name.
    """
    stage = package.rpartition(".")[2]
    texts = [_text("regfleet.shell", "common.sh"), *(_text(package, name) for name in names)]
    texts += [_text("regfleet.engines", f"{word}.{stage}.sh") for word in dict.fromkeys(engines)]
    return "\n".join(texts)


@cache
def _text(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text()
