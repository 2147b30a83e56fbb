"""The checks behind the schema's `format`s: each refuses a string with a message and a hint.

A name in `FORMATS` is a `format` in fleet.schema.json; a unit test compares the two.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping

from regfleet.fleet import addresses, hosts, schedules, storage
from regfleet.fleet.findings import RefusedError
from regfleet.fleet.toml_text import shown

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?", re.ASCII)
_LONGEST_NAME = 63
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_ACCOUNT = re.compile(r"[^\s:/-][^\s:/]*")
_MEMORY = re.compile(r"[1-9][0-9]{0,9}[kmgKMG]", re.ASCII)
_NO_PROXY = re.compile(r"(?!.*//)(?:\*|(\*?\.)?[A-Za-z0-9_:\[\]][A-Za-z0-9_.:/\[\]-]*)", re.ASCII)
_TTL = re.compile(r"0|(?=[0-9])([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?", re.ASCII)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}", re.ASCII)
_PREFIX = re.compile(r"[A-Za-z0-9_.-][A-Za-z0-9_./-]{0,200}", re.ASCII)
_PERCENT = re.compile(r"([1-9][0-9]?|100)%", re.ASCII)
# distribution/reference, grammar: path-component, tag, digest.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
LONGEST_REPOSITORY = 255  # distribution/reference, RepositoryNameTotalLengthMax
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}", re.ASCII)


def check_name(text: str) -> None:
    """The name of a fleet, registry or client; it names directories, containers and groups."""
    if not _NAME.fullmatch(text) or len(text) > _LONGEST_NAME:
        raise RefusedError(
            f"{shown(text)} cannot be a name",
            f"lower-case letters and digits, - and _ between them, up to {_LONGEST_NAME}",
        )


def check_account(text: str) -> None:
    """A Unix account. Directory services allow more names than useradd, so few are refused."""
    if not _ACCOUNT.fullmatch(text) or _CONTROL.search(text):
        raise RefusedError(
            f"{shown(text)} cannot be an account's name",
            "write it without blanks, colons or slashes, and with no hyphen first",
        )


def check_registry_user(text: str) -> None:
    """A name in an htpasswd file, whose lines are trimmed and end at `#` or the first colon."""
    if not text:
        raise RefusedError("a user's name cannot be empty", "as in ci")
    if ":" in text:
        raise RefusedError(
            f"the user's name {shown(text)} has a colon in it", "htpasswd ends a name at a colon"
        )
    if _CONTROL.search(text) or text != text.strip() or text.startswith("#"):
        raise RefusedError(
            f"the user's name {shown(text)} cannot be in an htpasswd file",
            "write it without control characters, blanks at its ends, or # first",
        )


def check_password(text: str) -> None:
    """A password written as a string: only `generate`. The text itself is never shown."""
    if text != "generate":
        raise RefusedError(
            "is a string: passwords do not belong in the file",
            'write "generate", { env = "NAME" }, { file = "PATH" } or { command = "COMMAND" }',
        )


def check_variable(text: str) -> None:
    """An environment variable's name."""
    if not _VARIABLE.fullmatch(text):
        # Not shown: a text that is no variable's name may be the password itself.
        raise RefusedError(
            "is not the name of an environment variable",
            "letters, digits and _, as in REG_PASSWORD",
        )


def check_command(text: str) -> None:
    """A shell command."""
    if not text.strip() or "\x00" in text:
        raise RefusedError("is not a command", "as in pass show registry/alice")


def check_path(text: str) -> None:
    """A path on this machine."""
    if not text.strip():
        raise RefusedError("is empty", "write the path of a file")
    if _CONTROL.search(text):
        raise RefusedError("has a control character in it", "write the path as ls shows it")


def check_absolute_path(text: str) -> None:
    """A directory on a host that a container mounts as a volume."""
    check_path(text)
    parts = text[1:].removesuffix("/").split("/")
    if not text.startswith("/") or not text.strip("/"):
        raise RefusedError(f"{shown(text)} is not a directory from / on", "as in /var/lib/registry")
    if ".." in parts or "." in parts or "" in parts:
        raise RefusedError(f"{shown(text)} has a part that is empty, . or ..", "write it out")
    if re.search(r"[:,\"'\\]", text):
        raise RefusedError(
            f"{shown(text)} has one of : , ' \" \\ in it, which a volume's path cannot have",
            "use another directory",
        )
    system = storage.system_directory(text)
    if system:
        raise RefusedError(
            f"{shown(text)} cannot hold images: {system} belongs to the system or to regfleet",
            "use a directory for this registry alone, as in /var/lib/registry or /srv/registry",
        )


def check_backup_directory(text: str) -> None:
    """A directory on a registry's host that keeps backups."""
    if not text.startswith("/") and (":" in text or "@" in text):
        raise RefusedError(
            f"{shown(text)} is not a directory of the registry's host",
            "mount the other machine's directory or bucket there (NFS, SSHFS, rclone mount), and "
            "name the place where it is mounted",
        )
    check_absolute_path(text)
    if storage.is_volatile(text):
        raise RefusedError(f"{shown(text)} is emptied when the host starts", "use another one")
    if storage.is_in_home(text):
        raise RefusedError(
            f"{shown(text)} lies in a home: its account could change the backups",
            "use a directory of root's, as in /srv/backup",
        )


def check_memory(text: str) -> None:
    """A number of bytes with its unit, as `docker run` reads it."""
    if not _MEMORY.fullmatch(text):
        raise RefusedError(f"{shown(text)} is not an amount of bytes", "as in 512m or 2g")


def check_permitted(text: str) -> None:
    """A domain, which permits every name under it too, or a network of IP addresses."""
    if "/" in text:
        try:
            ipaddress.ip_network(text)
        except ValueError:
            raise RefusedError(
                f"{shown(text)} is not a network", "as in 10.0.0.0/8 or 2001:db8::/32"
            ) from None
        return
    if re.fullmatch(r"[0-9.]+|.*:.*", text):
        hint = "for one address, add /32 or /128"
        raise RefusedError(f"{shown(text)} is neither a domain nor a network", hint)
    addresses.check_address(text)


def check_vip(text: str) -> None:
    """Check an address that hosts pass on, with the prefix of their network: `10.0.0.10/24`."""
    hint = "as in 10.0.0.10/24: the address, and the prefix of the network that the hosts are in"
    try:
        found = ipaddress.ip_interface(text)
    except ValueError:
        raise RefusedError("is not an address with a prefix", hint) from None
    if found.is_link_local:  # RFC 4007, 6: without a zone nobody can connect to it
        raise RefusedError("is a link-local address, which no client can use", hint)
    # Python takes netmasks and zones, too; keepalived.conf(5) has neither (virtual_ipaddress).
    prefix = text.partition("/")[2]
    if "%" in text or prefix != str(found.network.prefixlen):
        raise RefusedError("is not an address with a prefix", hint)
    ip = found.ip
    no_host = ip.is_loopback or ip.is_multicast or ip.is_unspecified or ip.is_reserved
    # With the prefix 0 a host would look for the whole world on that interface.
    if no_host or found.network.prefixlen == 0:
        raise RefusedError("is no address that a host can have there", hint)
    single = found.network.num_addresses == 1
    if single or found.ip in (found.network[0], found.network[-1]):
        raise RefusedError("is not an address in a network", hint)


def check_percent(text: str) -> None:
    """A percentage of the hosts."""
    if not _PERCENT.fullmatch(text):
        raise RefusedError(f"{shown(text)} is not a batch", 'a number, or "1%" to "100%"')


def check_image(text: str) -> None:
    """An image's reference: `[HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]`."""
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        # Not shown: before an @ there may be a password.
        raise RefusedError(
            "has a digest that is not valid", "as in sha256: and 64 hexadecimal digits"
        )
    head, slash, tail = rest.partition("/")
    if slash and (re.search(r"[.:]", head) or head == "localhost" or head != head.lower()):
        addresses.check_endpoint(head)
        rest = tail
    repository, colon, tag = rest.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise RefusedError(f"{shown(text)} has a tag that is not valid", "as in registry:2")
    if not _REPOSITORY.fullmatch(repository):
        hint = (
            "an image's repository is written in lower case"
            if repository != repository.lower()
            else ""
        )
        raise RefusedError(f"{shown(text)} is not an image", hint or "as in registry:2")


def is_repository(text: str) -> bool:
    """Whether a text has the form of a repository's path, however long."""
    return _REPOSITORY.fullmatch(text) is not None


def check_repository(text: str) -> None:
    """A repository's path, as images name it behind the registry's endpoint."""
    if not is_repository(text):
        hint = "as in team-a or team-a/infra"
        if text != text.lower():
            hint = f"repositories are written in lower case, {hint}"
        raise RefusedError(f"{shown(text)} is not the path of a repository", hint)
    if len(text) > LONGEST_REPOSITORY:
        raise RefusedError(
            f"{shown(text)} is longer than the path of a repository can be",
            f"{LONGEST_REPOSITORY} characters at most, with the registry's endpoint",
        )


def check_mirror(text: str) -> None:
    """A mirror's URL. The cross-checks look up names of registries later."""
    if "://" in text:
        addresses.check_mirror_url(text)


def check_mirrored(text: str) -> None:
    """A registry that has mirrors, as images name it; `*` for all that are not named."""
    if text == "*":
        return
    if text in addresses.HUB_HOSTS - {addresses.HUB}:
        raise RefusedError(f"{text} is Docker Hub, which images call docker.io", "write docker.io")
    addresses.check_endpoint(text)


def check_bucket(text: str) -> None:
    """An S3 bucket ("Bucket naming rules" of Amazon's user guide; older ones may be longer)."""
    if not _BUCKET.fullmatch(text):
        raise RefusedError(
            f"{shown(text)} cannot be a bucket", "3 to 63 lower-case letters, digits, . and -"
        )


def check_region(text: str) -> None:
    """A region of an S3 service."""
    if not _REGION.fullmatch(text):
        raise RefusedError(f"{shown(text)} cannot be a region", "as in eu-central-1")


def check_s3_endpoint(text: str) -> None:
    """The URL of an S3 service: scheme, host and port, and nothing else."""
    scheme, mark, rest = text.partition("://")
    if not mark or scheme not in ("http", "https") or "@" in rest or "/" in rest.removesuffix("/"):
        raise RefusedError("is not the URL of an S3 service", "as in https://s3.example.com:9000")
    addresses.check_mirror_url(text)


def check_s3_prefix(text: str) -> None:
    """A directory in a bucket, without slashes at its ends."""
    if not _PREFIX.fullmatch(text) or any(part in ("", ".", "..") for part in text.split("/")):
        raise RefusedError(
            f"{shown(text)} cannot be a directory in a bucket", "as in main or registries/main"
        )


def check_upstream(text: str) -> None:
    """A pull-through cache's upstream: a URL like a mirror's."""
    if "@" in re.split(r"[/?#]", text.partition("://")[2])[0]:
        raise RefusedError(
            "has a user or password in it",
            'write proxy = { url = "https://HOST", user = "NAME", password = { env = "NAME" } }',
        )
    addresses.check_mirror_url(text)


def check_proxy(text: str) -> None:
    """An HTTP proxy's URL as Go's programs take it (golang.org/x/net/http/httpproxy, Config)."""
    hint = "as in http://proxy.example.com:3128"
    scheme, mark, rest = text.partition("://")
    if not mark or scheme not in ("http", "https", "socks5"):
        raise RefusedError("is not the URL of a proxy", hint)
    if "@" in rest:
        raise RefusedError(
            "has a user or password in it", 'write user = "NAME" and password = { env = "NAME" }'
        )
    if rest.removesuffix("/") != re.split(r"[/?#]", rest)[0]:
        raise RefusedError("has more than a host and a port in it", hint)
    if not rest.partition(":")[0]:
        raise RefusedError("has no valid host in it", hint)
    addresses.check_mirror_url(f"http://{rest}")


def check_no_proxy(text: str) -> None:
    """What is reached without a proxy (golang.org/x/net/http/httpproxy, Config.NoProxy)."""
    if not _NO_PROXY.fullmatch(text):
        raise RefusedError(
            f"{shown(text)} is no name, domain, address or network",
            "each in a string of its own, as in example.com, .example.com or 10.0.0.0/8",
        )


def check_secret(text: str) -> None:
    """A password that regfleet cannot make, written as a string. The text is never shown."""
    del text
    raise RefusedError(
        "is a string: passwords do not belong in the file",
        'write { env = "NAME" }, { file = "PATH" } or { command = "COMMAND" }',
    )


def check_ttl(text: str) -> None:
    """A duration of Go's (time.ParseDuration) in whole hours, minutes and seconds; 0 for never."""
    if not _TTL.fullmatch(text):
        raise RefusedError(f"{shown(text)} is not a duration", "as in 720h or 1h30m; 0 for ever")


_AGE = re.compile(r"([1-9][0-9]{0,4})([hdw])", re.ASCII)
_HOURS = {"h": 1, "d": 24, "w": 7 * 24}


def age_seconds(text: str) -> int:
    """The seconds of an age, as in `30d`.

    Raises:
        RefusedError: it is none.
    """
    found = _AGE.fullmatch(text)
    if not found:
        raise RefusedError(f"{shown(text)} is not an age", "as in 12h, 30d or 8w")
    return int(found[1]) * _HOURS[found[2]] * 3600


def check_age(text: str) -> None:
    """An age in hours, days or weeks."""
    age_seconds(text)


def check_deletions(text: str) -> None:
    """The most tags that one run may delete, as a percentage."""
    if not _PERCENT.fullmatch(text):
        raise RefusedError(f"{shown(text)} is no limit", 'a number of tags, or "1%" to "100%"')


_PATTERN = re.compile(r"(?:[^\[\]]|\[!?[^\[\]!]+\])+")
_OF_REPOSITORY = re.compile(r"[a-z0-9._/*?\[\]!-]+", re.ASCII)
_OF_TAG = re.compile(r"[A-Za-z0-9._*?\[\]!-]+", re.ASCII)


def check_repository_pattern(text: str) -> None:
    """A repository's name, or a shell pattern of such names."""
    if not any(mark in text for mark in "*?["):
        check_repository(text)
    elif not (_OF_REPOSITORY.fullmatch(text) and _PATTERN.fullmatch(text)):
        raise RefusedError(
            f"no repository can match {shown(text)}",
            "lower-case letters, digits, . _ - and /, with *, ? or [a-z], as in prod/*",
        )


def check_repository_prefix(text: str) -> None:
    """The beginning of repositories' names: empty, or with the slash at its end."""
    if text:
        if not text.endswith("/"):
            raise RefusedError(f"{shown(text)} has no slash at its end", "as in staging/")
        check_repository(text[:-1])


def check_tag_pattern(text: str) -> None:
    """A tag, or a shell pattern of tags."""
    if not any(mark in text for mark in "*?["):
        if not _TAG.fullmatch(text):
            raise RefusedError(f"{shown(text)} cannot be a tag", "as in latest or v1.2")
    elif not (_OF_TAG.fullmatch(text) and _PATTERN.fullmatch(text)):
        raise RefusedError(
            f"no tag can match {shown(text)}",
            "letters, digits, . _ and -, with *, ? or [a-z], as in v*",
        )


FORMATS: Mapping[str, Callable[[str], None]] = {
    "vip": check_vip,
    "absolute-path": check_absolute_path,
    "account": check_account,
    "address": hosts.check_host_address,
    "bucket": check_bucket,
    "age": check_age,
    "at": schedules.check_at,
    "backup-directory": check_backup_directory,
    "command": check_command,
    "deletions": check_deletions,
    "endpoint": addresses.check_endpoint,
    "host": hosts.check_host,
    "image": check_image,
    "interval": schedules.check_interval,
    "listen": addresses.check_listen,
    "memory": check_memory,
    "mirror": check_mirror,
    "mirrored": check_mirrored,
    "name": check_name,
    "no-proxy": check_no_proxy,
    "password": check_password,
    "path": check_path,
    "percent": check_percent,
    "permitted": check_permitted,
    "proxy": check_proxy,
    "region": check_region,
    "registry-user": check_registry_user,
    "repository": check_repository,
    "repository-pattern": check_repository_pattern,
    "repository-prefix": check_repository_prefix,
    "s3-endpoint": check_s3_endpoint,
    "s3-prefix": check_s3_prefix,
    "secret": check_secret,
    "tag-pattern": check_tag_pattern,
    "tls-name": addresses.check_tls_name,
    "ttl": check_ttl,
    "upstream": check_upstream,
    "variable": check_variable,
}
