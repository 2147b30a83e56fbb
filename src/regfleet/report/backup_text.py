"""Backups of registries' images and restores, for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone

from rich.console import Console
from rich.filesize import decimal
from rich.text import Text

from regfleet.fleet.model import Fleet
from regfleet.model.backups import BackedUp, KeptBackup, KeptBackups, LeftOut, Restored, Verified
from regfleet.model.names import counted
from regfleet.report import audit_text
from regfleet.report.lines import show

_MEND = (
    "push those images again, or copy them from another registry (`regfleet replicate`); what an "
    "earlier backup has of them is still there"
)


def when(seconds: int | None) -> str:
    """A moment in UTC, as people read it."""
    try:
        moment = datetime.fromtimestamp(seconds or 0, timezone.utc)
    except (ValueError, OverflowError, OSError):
        moment = None
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC") if moment and seconds else "unknown"


def show_made(found: Mapping[str, Sequence[BackedUp]], console: Console, *, dry: bool) -> None:
    """Print what was copied, or would be, host by host."""
    for host, registries in found.items():
        for each in registries:
            name = each.service.removeprefix("regfleet-")
            has = (
                f"{counted(each.tags, 'tag')}, {counted(each.blobs, 'blob')}, {decimal(each.size)}"
            )
            copied = f"{counted(each.new_blobs, 'blob')}, {decimal(each.new_size)}"
            words = (
                f"would copy {copied} ({has})"
                if dry
                else f"backup {each.number} has {has}; {copied} copied"
            )
            if each.state:
                words += "; the state directory is kept with it"
            show(console, Text.assemble((name, "bold"), f" on {host}: "), words)
            _show_left_out(name, each.left_out, each.left_out_count, console)
    if any(each.left_out for registries in found.values() for each in registries):
        show(console, "hint: ", _MEND)


def made(found: Mapping[str, Sequence[BackedUp]]) -> list[str]:
    """A line for each backup that was made, for the history."""
    return [
        f"{each.service.removeprefix('regfleet-')} on {host}: backup {each.number}, "
        f"{counted(each.tags, 'tag')}, {counted(each.left_out_count, 'tag')} left out"
        for host, several in found.items()
        for each in several
    ]


def restored(found: Mapping[str, Sequence[Restored]]) -> list[str]:
    """A line for each restore, for the history."""
    return [
        f"{each.service.removeprefix('regfleet-')} on {host}: backup {each.number} of "
        f"{when(each.taken)}, {counted(each.tags, 'tag')}"
        for host, several in found.items()
        for each in several
    ]


def _show_left_out(name: str, tags: Sequence[LeftOut], count: int, console: Console) -> None:
    for tag in tags:
        line = f"{name}/{tag.repository}:{tag.name} cannot be pulled: {tag.reason}"
        show(console, Text.assemble("  ", ("left out", "red"), " "), line)
    if count > len(tags):
        show(console, "  ", f"and {counted(count - len(tags), 'more tag')}")


def show_restored(host: str, found: Restored, console: Console, *, dry: bool) -> None:
    """Print what was restored, or would be."""
    name = found.service.removeprefix("regfleet-")
    words = f"{'would restore' if dry else 'restored'} backup {found.number} of {when(found.taken)}"
    words += f": {counted(found.tags, 'tag')}; {counted(found.new_blobs, 'blob')}"
    words += f", {decimal(found.new_size)} {'to copy' if dry else 'copied'}"
    if found.overwritten:
        verb = "would be" if dry else "are"
        words += f"; {counted(found.overwritten, 'tag')} that were pushed later {verb} overwritten"
    if found.asked:
        words += f"; the registry answers for {counted(found.asked, 'tag')} of them"
    show(console, Text.assemble((name, "bold"), f" on {host}: "), words)
    _show_left_out(name, found.left_out, len(found.left_out), console)
    if found.audited:
        audit_text.show_found({host: (found.audited,)}, console)


def show_copies(fleet: Fleet, registry: str, console: Console) -> None:
    """Say what the next copies do to registries that have what the backup has not."""
    its = [each for each in fleet.replications.values() if each.source == registry]
    if not its:
        return
    targets = ", ".join(dict.fromkeys(name for each in its for name in each.targets))
    gone = ", or deleted (delete = true)" if any(each.delete for each in its) else ""
    words = (
        f"copies of {registry} ({targets}): tags that were pushed after the backup are set back "
        f"there to the backup's images{gone}, with the next copy"
    )
    show(console, Text("note: ", "yellow"), words)
    show(console, "  hint: ", "docs/how-to/disaster-drill.md says how to keep them")


def show_verified(host: str, found: Verified, console: Console) -> None:
    """Print what was found where all that backups keep was read."""
    words = (
        f"{counted(found.backups, 'backup')}, {counted(found.blobs, 'blob')}, "
        f"{decimal(found.size)} read"
    )
    bad = [f"{counted(found.bad_count, 'blob')} cannot be given"] if found.bad_count else []
    if count := len(found.unreadable):
        bad.append(f"{counted(count, 'backup')} {'is' if count == 1 else 'are'} damaged")
    if not found.backups:
        bad.append("there is no backup yet: run `regfleet backup`")
    fine = ", ".join(bad) or "all is whole"
    show(console, Text.assemble((found.registry, "bold"), f" on {host}: "), f"{words}; {fine}")
    for why in found.unreadable:
        show(console, Text.assemble("  ", ("damaged", "red"), " "), why)
    for blob in found.bad:
        line = f"{blob.digest}, which backups need: {blob.backups}"
        show(console, Text.assemble("  ", (blob.reason, "red"), " "), line)
    if found.bad_count > len(found.bad):
        show(console, "  ", f"and {counted(found.bad_count - len(found.bad), 'more blob')}")
    if found.bad:
        show(
            console,
            "  hint: ",
            "the next `regfleet backup` copies anew what the registry still has of these",
        )


def show_kept(found: Iterable[tuple[str, KeptBackups]], console: Console) -> None:
    """Print the backups of each registry, the newest first."""
    for host, each in found:
        head = Text.assemble((each.registry, "bold"), f" on {host}: ")
        if each.error:
            hint = f" (hint: {each.hint})" if each.hint else ""
            show(console, head, f"{each.error}{hint}")
            continue
        words = counted(len(each.backups), "backup") if each.backups else "no backups"
        if each.states:
            words += f"; the state directory of {when(each.states[-1][1])}"
        show(console, head, f"{words} in {each.place}")
        for backup in reversed(each.backups):
            show(console, f"  {backup.number}  ", _one(backup))


def _one(backup: KeptBackup) -> str:
    if backup.taken is None:
        return "damaged: what it has is not known"
    words = f"{when(backup.taken)}  {counted(backup.tags or 0, 'tag')}, {decimal(backup.size or 0)}"
    return f"{words}, {counted(backup.left_out, 'tag')} left out" if backup.left_out else words
