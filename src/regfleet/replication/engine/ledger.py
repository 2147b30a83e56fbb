"""The file that holds what both registries had in common."""

import os
import threading
from typing import Any, Dict, NamedTuple, Optional

from regfleet.replication.engine.problems import Problem


class Entry(NamedTuple):
    """What the ledger knows of one tag of the target.

    Attributes:
        brought: whether this copy brought it; else it was seen to be equal.
        digest: the last one that both registries had; empty where there was none yet.
        pending: the digest that was about to be put when the line was written, or empty.
    """

    brought: bool
    digest: str
    pending: str


class Ledger:
    """What the target had in common with the source, tag by tag, in a file of lines.

    A line says `b`rought, `s`een, `w`ill put or `x` (no more), the name and the digest. Lines are
    appended while a run works, so a killed run loses nothing; the last line of a name counts.
    """

    def __init__(self, path: Optional[str], identity: str, writes: bool) -> None:
        self._path, self._identity, self._writes = path, identity, writes and bool(path)
        self.entries: Dict[str, Entry] = {}
        self._lines = 0
        self._lock = threading.Lock()
        self._file: Any = None
        if path:
            self._load(path)

    def _head(self) -> str:
        return f"regfleet-ledger 1 {self._identity}\n"

    def _load(self, path: str) -> None:
        try:
            file = open(path, encoding="ascii", newline="\n")
        except FileNotFoundError:
            return
        with file:
            head = file.readline(1000)
            if not head.startswith("regfleet-ledger 1 "):
                raise Problem(
                    f"{path} is not a ledger: move it away; then deletions no longer follow"
                    " for what was brought until now"
                )
            if head != self._head():  # the policy has got another source or target
                if self._writes:
                    os.replace(path, path + ".old")
                return
            for line in file:
                self._lines += 1
                fields = line.split()
                if not line.endswith("\n") or len(fields) != 3:
                    continue  # cut off while it was written
                self._apply(*fields)

    def _apply(self, what: str, name: str, digest: str) -> None:
        if what == "x":
            self.entries.pop(name, None)
        elif what == "w":
            before = self.entries.get(name) or Entry(False, "", "")
            self.entries[name] = before._replace(pending=digest)
        else:
            self.entries[name] = Entry(what == "b", digest, "")

    def note(self, what: str, name: str, digest: str = "-") -> None:
        """Remember one line, on disk too."""
        with self._lock:
            self._apply(what, name, digest)
            if not self._writes or not self._path:
                return
            if self._file is None:
                if not self._lines and not os.path.exists(self._path):
                    self._rewrite()
                self._file = open(self._path, "ab+", buffering=0)
                if self._file.seek(0, os.SEEK_END) and not self._ends_a_line():
                    self._file.write(b"\n")
            self._file.write((f"{what} {name} {digest}\n").encode("ascii"))
            self._lines += 1

    def _ends_a_line(self) -> bool:
        self._file.seek(-1, os.SEEK_END)
        return bool(self._file.read(1) == b"\n")

    def _rewrite(self) -> None:
        new = f"{self._path}.new"
        made = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(made, "w", encoding="ascii", newline="\n") as file:
            file.write(self._head())
            self._lines = 0
            for name, entry in self.entries.items():
                if entry.digest:
                    file.write(
                        "{} {} {}\n".format("b" if entry.brought else "s", name, entry.digest)
                    )
                    self._lines += 1
                if entry.pending:
                    file.write(f"w {name} {entry.pending}\n")
                    self._lines += 1
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, str(self._path))

    def close(self) -> None:
        """Onto the disk; shortened where most lines are of the past."""
        with self._lock:
            if self._file is not None:
                os.fsync(self._file.fileno())
                self._file.close()
                self._file = None
                if self._lines > 2 * len(self.entries) + 100:
                    self._rewrite()
