"""The names of all files in a state directory. Pure.

Names are relative to the state directory, with `/` between their parts, as `state.StateDirectory`
takes them. The modules that write the files (`pki`, `htpasswd`, `passwords`, `journal`...) define
their contents.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

HOME = ".regfleet"
"""The directory beside a fleet file that holds the state directory of each fleet."""

GIT_IGNORE = ".gitignore"
LOCK = "lock"
LOCK_OWNER = "lock.owner"  # describes the holder, for people

CA_KEY = "ca.key"
CA_CERTIFICATE = "ca.crt"
SALT = "salt"  # salts the digests of logins that hosts report
ARCHIVES = "archives.json"  # digests of image archives
MEMBERS = "members.json"  # hosts that the fleet has configured
UNPROVEN = "unproven.json"  # hosts that no smoke test has proven since they were changed
MACHINES = "machines.json"  # which machine each host was at the last apply
SPACE = "space.json"  # earlier free space of registries' file systems
REPORT = "report.html"  # the page of the last apply
RUNS = "runs"
IMAGES = "images"  # what was done to images; see regfleet.image_work
PROMOTIONS = "promotions.jsonl"  # who promoted what; see regfleet.promotions
REPLICATION = "replication"  # ledgers and last records of copies that run here

_RUN = re.compile(r"([0-9]{1,9})\.json")
_IMAGE_ENTRY = re.compile(r"([0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[0-9a-f]{8})\.json")


def image_entry(name: str) -> str:
    """What one command did to images."""
    return f"{IMAGES}/{name}.json"


def image_entry_name(file: str) -> str | None:
    """The name of an entry by its file's; None for other files."""
    match = _IMAGE_ENTRY.fullmatch(file)
    return match[1] if match else None


def server_key(registry: str) -> str:
    """The key of a registry's certificate from the fleet's CA."""
    return _registry_file(registry, "key")


def server_certificate(registry: str) -> str:
    """A registry's certificate from the fleet's CA."""
    return _registry_file(registry, "crt")


def htpasswd(registry: str) -> str:
    """A registry's htpasswd file."""
    return _registry_file(registry, "htpasswd")


def fitting(registry: str) -> str:
    """The marks of hashes in it that are known to match generated passwords."""
    return _registry_file(registry, "fitting")


def http_secret(registry: str) -> str:
    """The secret by which a registry signs the state of uploads."""
    return _registry_file(registry, "http-secret")


def token_key(registry: str) -> str:
    """The key by which a registry's gateway signs tokens."""
    return _registry_file(registry, "token-key")


def token_certificates(registry: str) -> str:
    """The certificates of tokens that a registry accepts: first that of the key."""
    return _registry_file(registry, "token-crt")


def token_next(registry: str) -> str:
    """The key that is to sign tokens next; there while keys are rotated."""
    return _registry_file(registry, "token-next")


def token_switched(registry: str) -> str:
    """When every gateway had begun to sign with the next key: seconds since 1970."""
    return _registry_file(registry, "token-switched")


def instance_key(registry: str) -> str:
    """The key of the certificate that a registry's instances show to gateways of other hosts."""
    return _registry_file(registry, "instance-key")


def instance_certificate(registry: str) -> str:
    """That certificate."""
    return _registry_file(registry, "instance-crt")


def _registry_file(registry: str, what: str) -> str:
    return f"registry/{registry}.{what}"


def passwords(registry: str) -> str:
    """The folder of a registry's generated passwords, with a file for each user."""
    return f"passwords/{_as_file_name(registry)}"


def password(registry: str, user: str) -> str:
    """The file of a user's generated password."""
    return f"{passwords(registry)}/{_as_file_name(user)}"


def user_of(file: str) -> str:
    """The user whose password a file of that name in the folder holds."""
    return unquote(file)


def _as_file_name(name: str) -> str:
    """A name percent-encoded into a file name; different names get different files."""
    encoded = quote(name, safe="@+")
    return encoded.replace(".", "%2E") if encoded.startswith(".") else encoded


def run_entry(number: int) -> str:
    """The journal's file of a run."""
    return f"{RUNS}/{number:04}.json"


def run_page(number: int) -> str:
    """The HTML page of a run."""
    return f"{RUNS}/{number:04}.html"


def run_number(file: str) -> int | None:
    """The number of the run whose journal file has that name in `RUNS`; None for other files."""
    found = _RUN.fullmatch(file)
    return int(found.group(1)) if found else None
