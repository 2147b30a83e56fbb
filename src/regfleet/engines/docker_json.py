"""daemon.json as the dockerd of a host reads it. Pure."""

from __future__ import annotations

from regfleet.documents import json_document
from regfleet.documents.json_document import BOM, JsonDocument, NotJsonError
from regfleet.engines import docker_facts as facts
from regfleet.model.observed import ObservedHost


def read(seen: ObservedHost) -> JsonDocument:
    """A host's daemon.json; an absent or blank one is empty.

    Raises:
        NotJsonError: dockerd could not read it either.
        NotReadableError: it cannot be edited, though dockerd may read it.
    """
    text = seen.daemon_json
    version = seen.engine.version
    if text and text.startswith(BOM) and facts.NO_BOM.holds(facts.version_of(version)):
        which = f"Docker {version}" if version else "Docker before 23.0"
        raise NotJsonError(
            f"it begins with a byte order mark, which {which} does not read (23.0 and later do)",
            hint=f"save it without one (`sed -i '1s/^\\xEF\\xBB\\xBF//' {seen.engine.config}`), "
            "then run this again",
        )
    return json_document.parse(text)
