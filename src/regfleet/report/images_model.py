"""What registries hold, as it was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from regfleet.registry_api.contents import Tag


@dataclass(slots=True)
class RegistryImages:
    """One registry's.

    Attributes:
        repositories: tags by repository; none where a repository is empty, or its tags are not
            its own (`note` says so).
        error, hint: why there is nothing, or not all of it.
    """

    name: str
    endpoint: str
    repositories: dict[str, tuple[Tag, ...]] = field(default_factory=dict)
    note: str = ""
    error: str = ""
    hint: str = ""
