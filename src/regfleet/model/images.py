"""The images of registries, for the `images` command."""

from __future__ import annotations

from dataclasses import dataclass, field

from regfleet.model.contents import Tag


@dataclass(slots=True)
class RegistryImages:
    """The images of one registry.

    Attributes:
        repositories: tags by repository; no tags when the repository is empty, or when the
            registry is a cache that lists its upstream's tags (`note` says so).
        hidden: the number of the smoke test's empty repositories, which are left out.
        error, hint: why the list is empty or incomplete.
    """

    name: str
    endpoint: str
    repositories: dict[str, tuple[Tag, ...]] = field(default_factory=dict)
    note: str = ""
    hidden: int = 0
    error: str = ""
    hint: str = ""
