"""Resources as text, for people and for JSON (Contract): the only place that does this."""

from __future__ import annotations

from regfleet.doctor.finding import Finding
from regfleet.model.report import NotCompared
from regfleet.model.resource import Resource


def resource_text(resource: Resource) -> str:
    """A resource as text: `file /etc/docker/daemon.json`, `team-a: bob guest`."""
    if resource.kind in ("other", "role"):
        return resource.name
    if resource.kind == "password":
        return f"password of {resource.name}"
    if resource.kind == "proxies":
        return f"proxies of {resource.name}'s containers"
    return f"{resource.kind} {resource.name}"


def not_compared_text(left_out: NotCompared) -> str:
    """A resource that was not compared; an htpasswd file by its users."""
    if left_out.users:
        return f"passwords of {', '.join(left_out.users)} ({left_out.reason})"
    return resource_text(left_out.resource)


def found_text(finding: Finding) -> str:
    """A finding's observation on one line: its text, or the changes of a plan."""
    words = [f"{resource_text(each.resource)} ({each.reason})" for each in finding.changes]
    more = [f"{finding.more} more"] if finding.more else []
    return ", ".join([*words, *more]) if words else finding.found
