"""Image archives travel ahead of a touch: one command each, streamed, checked, loaded or kept."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from regfleet.fleet.engine_rules import default_engine
from regfleet.model.observed import ObservedEngine
from regfleet.model.service import Image
from regfleet.record import BROUGHT, DIRECTORY
from regfleet.shell import frame
from regfleet.shell.command import PLACES

CHUNK = 57 * 1024  # a multiple of three, so that base64 pieces join without padding


def spool_path(image: Image) -> str:
    """Where an archive waits on the host for an engine that is not there yet."""
    # Docker's have the name that they had when there was no other engine for registries.
    engine = "" if image.engine == default_engine() else f".{image.engine}"
    return f"{DIRECTORY}/spool/{image.archive_digest[:32]}{engine}.tar"


def loading(command: str, engine: ObservedEngine, account: str = "") -> str:
    """A command of the host's own engine, whatever the environment there says of another one.

    Args:
        command: shell words that load the file whose path follows them; with an account, that load
            what they read.
        engine: the host's Docker, which is asked at its own address.
        account: whose engine it is, which runs the command; empty for root's.
    """
    if account:  # in a session without root's terminal, as `as_account` of accounts.sh
        become = f"su -s /bin/sh -c {quote(command)} {quote(account)}"
        clean = f'env -i PATH="$PATH:{PLACES}"'
        program = f'exec $(command -v setsid) {clean} {become} <"$1"'
        return f"sh -c {quote(program)} sh"
    host = quote(engine.address)
    places = f"{PLACES}:{engine.programs}" if engine.programs else PLACES
    path = f'"$PATH":{quote(places)}'
    return f"env -i PATH={path} LC_ALL=C HOME=/nonexistent DOCKER_HOST={host} {command}"


def receive(image: Image, *, load: str, mark: str, fleet: str = "") -> str:
    """The command that takes an archive from standard input (base64 in lines).

    Its answer is framed; the frame is ended only once all is well.

    Args:
        mark: made for this sending.
        fleet: the fleet that brings the image, which is listed (see `record.parse_brought`); empty
            for an image that is not to be removed with a fleet.
        load: shell command that loads the file whose path follows it into the engine at once,
            as of `loading`; where it is empty the archive waits in the spool for the touch.
    """
    path = quote(spool_path(image))
    directory = quote(f"{DIRECTORY}/spool")
    listed = f"{_listed(image, fleet)} && " if fleet else ""
    # What did not come is on no list, unless an earlier touch has put it there.
    unlisted = f" || {{ {_unlisted(image, fleet)}; exit 1; }}" if fleet else ""
    check = f"echo '{image.archive_digest}  '\"$p\" | sha256sum -c - >/dev/null"
    # One may wait from a touch that was killed, for an engine that was not there then.
    then = f'{load} "$p" && rm -f "$p" {path} && {{ rmdir {directory} 2>/dev/null || :; }}'
    if not load:
        then = f'mv -f "$p" {path}'
    return (
        f"{frame.begin(mark)}; umask 077; mkdir -p {directory}; "
        # What was cut off by a kill: it is named for its process.
        f'for p in {directory}/*.tar.*; do [ -d "/proc/${{p##*.}}" ] || rm -f "$p"; done; '
        f"p={path}.$$; trap 'rm -f \"$p\"' EXIT; trap 'exit 1' HUP INT PIPE TERM; "
        f'base64 -d >"$p" && {check} && {listed}{{ {then}; }}{unlisted} '
        f"&& {frame.end(mark)}"
    )


def _line(image: Image, fleet: str) -> str:
    return quote(f"{fleet}\t{image.engine}\t{image.reference}")


def _listed(image: Image, fleet: str) -> str:
    """The command that puts an image on the list of those that regfleet brought, once."""
    line = _line(image, fleet)
    return (
        f"{{ grep -q -s -x -F {line} {BROUGHT} || {{ new=yes; "
        f"printf '%s\\n' {line} >>{BROUGHT} && {{ sync {BROUGHT} 2>/dev/null || sync; }}; }}; }}"
    )


def _unlisted(image: Image, fleet: str) -> str:
    """The command that takes it off again, where `_listed` has put it there."""
    line = _line(image, fleet)
    return (
        f'[ -z "${{new:-}}" ] || {{ grep -v -x -F {line} {BROUGHT} >{BROUGHT}.new; '
        f"[ -s {BROUGHT}.new ] && mv -f {BROUGHT}.new {BROUGHT} || "
        f"rm -f {BROUGHT}.new {BROUGHT}; }}"
    )


class Chunks(list[str]):
    """An archive as base64 lines, read as it is iterated: pyinfra takes a list for stdin.

    A list by type and an iterator by behaviour, so that an image of gigabytes is never held in
    memory whole (pyinfra.connectors.util.write_stdin iterates lists and reads everything else).
    """

    def __init__(self, archive: Path) -> None:
        super().__init__()
        self._archive = archive

    def __iter__(self) -> Iterator[str]:
        with self._archive.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield base64.b64encode(chunk).decode() + "\n"

    def __bool__(self) -> bool:
        return True
