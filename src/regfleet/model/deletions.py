"""Images to delete: which tags go, which stay, and how it went."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

DeletionStatus = Literal["planned", "deleted", "failed"]


@dataclass(frozen=True, slots=True)
class ImageName:
    """An image as it is named on the command line: `REGISTRY/REPOSITORY:TAG` or `…@DIGEST`.

    Attributes:
        registry: the declared name of the registry.
        tag: empty if a digest is named.
        digest: empty if a tag is named.
    """

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        reference = f":{self.tag}" if self.tag else f"@{self.digest}"
        return f"{self.registry}/{self.repository}{reference}"


@dataclass(slots=True)
class Deletion:
    """One image to delete.

    Attributes:
        digest: of the image behind the tag; empty if it is not known.
        size: bytes of its blobs, each once; other images may use them, too.
        tags: the tags that go. For a digest, all tags of it.
        attached: tags of signatures and attestations (`sha256-…`) that go with the last tag.
        others: tags of the same digest that stay.
        unreadable: whether the registry answers with an error for the image: version 3 for one of
            schema 1, version 2 for a tag whose link a crash left empty.
        beside: other tags of the repository that are unreadable, and stay.
        unfinished: whether an earlier deletion of the tag was interrupted.
        error, hint: why it cannot be deleted, or was not.
    """

    image: ImageName
    digest: str = ""
    size: int = 0
    tags: tuple[str, ...] = ()
    attached: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    unreadable: bool = False
    beside: tuple[str, ...] = ()
    unfinished: bool = False
    status: DeletionStatus = "planned"
    error: str = ""
    hint: str = ""

    def fail(self, message: str, hint: str = "") -> None:
        """Record why it cannot be deleted, or was not."""
        self.status, self.error, self.hint = "failed", message, hint


@dataclass(slots=True)
class Deletions:
    """The deletions of one command.

    Attributes:
        dry_run: whether nothing is deleted.
    """

    fleet: str
    images: list[Deletion] = field(default_factory=list)
    dry_run: bool = False

    @property
    def planned(self) -> list[Deletion]:
        """Those that can be deleted and are not yet."""
        return [each for each in self.images if each.status == "planned"]

    @property
    def ok(self) -> bool:
        """Whether none failed."""
        return all(each.status != "failed" for each in self.images)
