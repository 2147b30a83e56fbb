"""One run: what differs is found by HEAD, copied by a few threads, then deletions follow."""

import fcntl
import json
import os
import threading
import time
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from regfleet.replication.engine.copier import Copier
from regfleet.replication.engine.ledger import Ledger
from regfleet.replication.engine.manifests import ATTACHED, parse_object, refuse_what_goes
from regfleet.replication.engine.policy import (
    VERSION,
    Policy,
    check_settings,
    decide,
    most_deletions,
)
from regfleet.replication.engine.problems import Away, Going, Gone, Problem, Stopped, clean
from regfleet.replication.engine.registry import MOST_TAGS, Registry
from regfleet.replication.engine.transport import Clock, Proxy

MOST_ERRORS = 20  # told; all are counted
MOST_LINES = 1000  # of what a dry run would do


class Item(NamedTuple):
    """A tag that differs."""

    repository: str
    tag: str
    digest: str


class Run:
    """One run of a copy.

    Args:
        settings: see `SETTINGS`.
        dry: compare, and change nothing.
        progress: called about once a second: tags that are done, all that are known so far, and
            the bytes that came from the source.
        dials: for the source and for the target, as of `Registry`.
    """

    def __init__(
        self,
        settings: Dict[str, Any],
        dry: bool = False,
        progress: Optional[Callable[[int, int, int], None]] = None,
        dials: Tuple[Any, Any] = (None, None),
    ) -> None:
        check_settings(settings)
        self._policy = Policy(settings)
        self.settings, self.dry, self._progress = settings, dry, progress
        self.clock = Clock(settings.get("deadline", 6 * 3600))
        proxy = Proxy(settings["http_proxy"]) if settings.get("http_proxy") else None
        self.source = Registry(settings["source"], self.clock, dials[0], proxy)
        self.target = Registry(settings["target"], self.clock, dials[1], proxy)
        names = (
            "repositories tags same copied kept left deleted failed manifests blobs mounted present"
            " bytes resumed"
        )
        self.count = dict.fromkeys(names.split(), 0)
        self.errors: List[str] = []
        self.notices: List[str] = []
        self.would: List[str] = []
        self._copier = Copier(self.source, self.target, self.clock, self.count)
        self._parallel = int(settings.get("parallel", 8))
        self._lock = threading.Lock()
        self._incomplete = False  # the source was not compared as a whole
        self._ledger: Any = None

    # -- threads

    def _each(self, function: Callable[[Any], None], items: Iterable[Any]) -> None:
        """Call a function for each item, in a few threads; the items are taken one by one."""
        iterator, lock = iter(items), threading.Lock()
        failures: List[BaseException] = []

        def work() -> None:
            while True:
                try:
                    with lock:
                        if failures or self.clock.over():
                            return
                        try:
                            item = next(iterator)
                        except StopIteration:
                            return
                    function(item)
                except BaseException as error:  # noqa: BLE001 - raised below, in the caller's thread
                    failures.append(error)
                    return

        threads = [threading.Thread(target=work, daemon=True) for _ in range(self._parallel)]
        for each in threads:
            each.start()
        for each in threads:
            while each.is_alive():
                each.join(1.0)
                if self._progress:
                    done = sum(self.count[each] for each in ("same", "copied", "kept", "left"))
                    done += self.count["failed"]
                    self._progress(done, self.count["tags"], self.source.received)
                if self.clock.over():
                    self.source.cut()
                    self.target.cut()
        if failures:
            raise failures[0]
        self.clock.check()

    def _fail(self, what: str, error: Any) -> None:
        with self._lock:
            self.count["failed"] += 1
            if len(self.errors) < MOST_ERRORS:
                self.errors.append(clean(f"{what}: {error}"))

    def _tell(self, text: str) -> None:
        with self._lock:
            if len(self.notices) < MOST_ERRORS:
                self.notices.append(clean(text))

    # -- the work

    def run(self) -> Dict[str, Any]:
        """Do it, and say what was done; see `result`. No failure of a registry is raised."""
        started = time.time()
        state = "ok"
        held = None
        try:
            if not self.dry:
                for key in ("lock", "ledger", "record"):
                    if self.settings.get(key):
                        os.makedirs(os.path.dirname(self.settings[key]), 0o700, exist_ok=True)
            if not self.dry and self.settings.get("lock"):
                held = take_lock(self.settings["lock"])
                if held is None:
                    return self.result("busy", started)
            self._ledger = Ledger(self.settings.get("ledger"), self._identity(), not self.dry)
            try:
                self.source.ping()
                self.target.ping()
                self._work()
            finally:
                self._ledger.close()
            state = "failed" if self.count["failed"] else "ok"
        except Stopped as stopped:
            state = str(stopped)
            if state == "deadline":
                told = self.settings.get("deadline", 6 * 3600)
                self._fail("deadline", f"not done within {told} s: the next run goes on from here")
        except Away as away:
            state = "away"
            self._fail("away", away)
        except (Problem, OSError) as problem:
            state = "failed"
            self._fail("run", problem)
        finally:
            if held is not None and state != "busy":
                self._record(state, started)
                os.close(held)
            self.source.cut()
            self.target.cut()
        return self.result(state, started)

    def _identity(self) -> str:
        return f"{self.source.netloc} {self.target.netloc}"

    def result(self, state: str, started: float) -> Dict[str, Any]:
        """The run as a JSON document.

        `state`: ok; failed (some images, see `errors`); away (a registry did not answer); busy
        (another run is at work); deadline; stopped (by a signal).
        """
        document: Dict[str, Any] = {
            "version": VERSION,
            "policy": self.settings["policy"],
            "source": self.source.name,
            "target": self.target.name,
            "state": state,
            "dry_run": self.dry,
            "started": int(started),
            "seconds": round(time.time() - started, 3),
            "counts": dict(self.count),
            "requests": {"source": self.source.requests, "target": self.target.requests},
            "retries": self.source.retries + self.target.retries,
            "errors": list(self.errors),
            "notices": list(self.notices),
        }
        if self.dry:
            document["would"] = sorted(self.would)
        return document

    def _record(self, state: str, started: float) -> None:
        """The last run's result in a file, for `status`."""
        path = self.settings.get("record")
        if not path:
            return
        document = self.result(state, started)
        document["complete"] = int(started) if state == "ok" else last_run(path, "complete")
        with open(path + ".new", "w", encoding="ascii") as file:
            json.dump(document, file)
        os.replace(path + ".new", path)

    def _work(self) -> None:
        listed: Dict[str, List[str]] = {}

        def list_one(repository: str) -> None:
            try:
                found = [tag for tag in self.source.tags(repository) if self._policy.wants_tag(tag)]
            except Problem as error:
                self._incomplete = True
                self._fail(repository, error)
                return
            with self._lock:
                listed[repository] = found
                self.count["repositories"] += 1
                self.count["tags"] += len(found)
                if self.count["tags"] > MOST_TAGS:
                    raise Problem(f"more than {MOST_TAGS} tags in one run")

        names = self._policy.names
        wanted = filter(self._policy.wants, self.source.catalog() if names is None else names)
        self._each(list_one, wanted)
        attached, images = self._compare(listed)
        self._each(self._copy, attached)
        self._each(self._copy, images)
        if self._policy.delete:
            self._follow_deletions(listed)

    def _compare(self, listed: Dict[str, List[str]]) -> Tuple[List[Item], List[Item]]:
        """What differs: signatures and the like, and images."""
        everything = self._policy.all_tags
        chosen: Set[str] = set()
        images: List[Item] = []

        def plain(pair: Tuple[str, str]) -> None:
            found = self._compare_one(pair[0], pair[1])
            if found is None:
                return
            digest, differs = found
            below = {digest}
            if not everything and differs:
                below = self._children_or_none(pair[0], digest)
            with self._lock:
                if not everything:
                    chosen.update(below)
                if differs:
                    images.append(Item(pair[0], pair[1], digest))

        self._each(
            plain,
            (
                (repository, tag)
                for repository in sorted(listed)
                for tag in listed[repository]
                if not ATTACHED.fullmatch(tag)
            ),
        )
        attached: List[Item] = []

        def other(pair: Tuple[str, str]) -> None:
            if not everything and not self._subject_chosen(pair, chosen):
                with self._lock:
                    self.count["tags"] -= 1
                return
            found = self._compare_one(pair[0], pair[1])
            if found is not None and found[1]:
                with self._lock:
                    attached.append(Item(pair[0], pair[1], found[0]))

        self._each(
            other,
            (
                (repository, tag)
                for repository in sorted(listed)
                for tag in listed[repository]
                if ATTACHED.fullmatch(tag)
            ),
        )
        return sorted(attached), sorted(images)

    def _children_or_none(self, repository: str, digest: str) -> Set[str]:
        try:
            return self._copier.children(repository, digest)
        except Problem:
            return {digest}  # the copy itself will say what is wrong

    def _subject_chosen(self, pair: Tuple[str, str], chosen: Set[str]) -> bool:
        """Whether a signature's image is one that this policy copies, or that the target has."""
        match = ATTACHED.fullmatch(pair[1])
        subject = f"{match.group(1)}:{match.group(2)}" if match else ""
        if subject in chosen:
            return True
        try:
            return self.target.digest(self._policy.target(pair[0]), subject) is not None
        except Problem:
            return True  # then the comparison says why

    def _compare_one(self, repository: str, tag: str) -> Optional[Tuple[str, bool]]:
        """The source's digest of a tag, and whether it is to be copied; None: nothing to do."""
        to = self._policy.target(repository)
        name = f"{to}:{tag}"
        try:
            here = self.source.digest(repository, tag)
            there = self.target.digest(to, tag)
        except Problem as error:
            self._incomplete = True
            self._fail(f"{repository}:{tag}", error)
            return None
        if here is None:
            return None  # deleted since the list was read
        entry = self._ledger.entries.get(name)
        what = decide(
            here,
            there,
            entry,
            self._policy.conflict,
            self._policy.two_way,
        )
        if what == "same":
            if entry is None or entry.digest != here or entry.pending:
                brought = entry is not None and (entry.pending == here or entry.brought)
                self._ledger.note("b" if brought else "s", name, here)
            with self._lock:
                self.count["same"] += 1
        elif what != "copy":
            with self._lock:
                self.count[what] += 1
            if what == "kept":
                self._tell(f"{name}: kept: the target has another image of that name")
        return here, what == "copy"

    def _copy(self, item: Item) -> None:
        to = self._policy.target(item.repository)
        name = f"{to}:{item.tag}"
        if self.dry:
            with self._lock:
                self.count["copied"] += 1
                if len(self.would) < MOST_LINES:
                    self.would.append(f"copy {name}")
            return
        for tried in range(3):
            try:
                self._ledger.note("w", name, item.digest)
                self._copier.image(item.repository, to, item.digest, item.tag)
                self._ledger.note("b", name, item.digest)
                with self._lock:
                    self.count["copied"] += 1
                return
            except (Going, Gone) as error:
                self._not_there(item, name, error)
                return
            except Away as error:
                if tried == 2:
                    self._fail(name, error)
                    return
                self.clock.pause(2.0**tried)
            except Problem as error:
                self._fail(name, error)
                return

    def _not_there(self, item: Item, name: str, error: Problem) -> None:
        try:
            if self.source.digest(item.repository, item.tag) != item.digest:
                return  # moved or deleted meanwhile: the next run's
        except Problem:
            pass
        if isinstance(error, Going):
            self._tell(f"{name}: not copied: {error}")
        else:
            self._fail(name, error)

    def _follow_deletions(self, listed: Dict[str, List[str]]) -> None:
        """Delete at the target what this copy brought and the source no longer has."""
        if self._incomplete:
            self._tell("nothing deleted: the source was not compared as a whole")
            return
        back = {self._policy.target(repository): repository for repository in listed}
        there = {to: set(listed[repository]) for to, repository in back.items()}
        brought = 0
        gone: List[Tuple[str, str, str]] = []
        for name, entry in self._ledger.entries.items():
            to, tag = name.rsplit(":", 1)
            repository = back.get(to) or self._policy.source(to)
            if not (entry.brought or entry.pending) or not self._policy.wants_tag(tag):
                continue
            if not self._policy.wants(repository):
                continue
            brought += 1
            if tag not in there.get(to, ()):
                gone.append((repository, to, tag))
        limit = self._policy.max_delete
        if len(gone) > most_deletions(limit, brought):
            told = f"{len(gone)} of the {brought} tags that were brought are gone from the source"
            self._fail("delete", f"nothing deleted: {told}, more than max_delete = {limit} allows")
            return
        # Images first: one without its signature must not be left.
        gone.sort(key=lambda each: (bool(ATTACHED.fullmatch(each[2])), each))
        for images in (False, True):
            part = [each for each in gone if bool(ATTACHED.fullmatch(each[2])) == images]
            self._each(self._delete_one, part)

    def _delete_one(self, gone: Tuple[str, str, str]) -> None:
        repository, to, tag = gone
        name = f"{to}:{tag}"
        try:
            if self.source.digest(repository, tag) is not None:
                return  # the list was wrong or is old
            there = self.target.digest(to, tag)
            entry = self._ledger.entries[name]
            # What both had before, and nothing was put over, is the target's own.
            ours = {entry.digest, entry.pending} if entry.brought else {entry.pending}
            if there is not None and there not in ours:
                other = "an image of its own" if there == entry.digest else "another image"
                self._tell(f"{name}: not deleted: the target has {other} of that name")
                if not self.dry:
                    self._ledger.note("x", name)
                return
            if self.dry:
                self.would.append(f"delete {name}")
            elif there is not None and there == entry.pending and self._is_empty_index(to, there):
                if not self.target.delete_manifest(to, there):  # a killed run had begun it
                    raise Problem("it moved meanwhile: the next run's")
                self._ledger.note("x", name)
            elif there is not None:
                self.target.delete_tag(to, tag, lambda empty: self._ledger.note("w", name, empty))
                self._ledger.note("x", name)
            else:
                self._ledger.note("x", name)
            with self._lock:
                self.count["deleted"] += 1
        except Problem as error:
            self._fail(name, error)

    def _is_empty_index(self, to: str, digest: str) -> bool:
        """Whether a manifest is one of `delete_tag`, that no other tag can have."""
        raw, _ = self.target.manifest(to, digest)
        try:
            refuse_what_goes(to, parse_object(raw, digest))
        except Going:
            return True
        return False


def last_run(path: Optional[str], key: str) -> Optional[int]:
    """A time of the last run's record: `started`, or `complete` of the last that copied all."""
    if not path:
        return None
    try:
        with open(path, encoding="ascii") as file:
            found = json.loads(file.read(1 << 20)).get(key)
        return found if isinstance(found, int) else None
    except (OSError, ValueError, AttributeError):
        return None


def take_lock(path: str) -> Optional[int]:
    """The lock of a copy, as a descriptor to close; None when another run has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
