"""Copy images from one registry to another: only what differs, byte for byte, again and again.

Hosts run it as one file (`replication/bundle.py`) with Python 3.6 or later and its standard
library, so nothing else is imported here. A module for each part:

* `transport`: connections, by an HTTP proxy where one is declared, until the deadline.
* `client`: requests that are repeated, and the login by Basic or by token.
* `registry`: the API, with bounds on everything that a registry may answer; `manifests`: its
  documents.
* `ledger`: the file that holds what was common to both registries. Deletions touch only what it
  says was brought, and only while the target still has that digest.
* `copier`: one image: children before parents, blobs that the target has by mount, the manifest's
  own bytes last, so that the target never shows an image that is not whole.
* `run`: compares by HEAD, lets a few threads copy what differs (signatures before what they sign),
  then follows deletions; `policy`: what the settings say of that.
* `program`: the command line.
"""

from regfleet.replication.engine.copier import Copier
from regfleet.replication.engine.manifests import (
    ACCEPT,
    ATTACHED,
    DIGEST,
    INDEX,
    MANIFESTS,
    descriptors,
    digest_of,
    empty_index,
    parse_object,
    refuse_what_goes,
)
from regfleet.replication.engine.policy import VERSION, check_settings
from regfleet.replication.engine.problems import Away, Going, Problem, Stopped
from regfleet.replication.engine.program import main
from regfleet.replication.engine.registry import Registry, blob_path, pull, push
from regfleet.replication.engine.run import Run, take_lock
from regfleet.replication.engine.transport import Clock, Proxy

__all__ = [
    "ACCEPT",
    "ATTACHED",
    "DIGEST",
    "INDEX",
    "MANIFESTS",
    "VERSION",
    "Away",
    "Clock",
    "Copier",
    "Going",
    "Problem",
    "Proxy",
    "Registry",
    "Run",
    "Stopped",
    "blob_path",
    "check_settings",
    "descriptors",
    "digest_of",
    "empty_index",
    "main",
    "parse_object",
    "pull",
    "push",
    "refuse_what_goes",
    "take_lock",
]
