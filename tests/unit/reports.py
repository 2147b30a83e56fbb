"""Reports to render, and a plan that has secrets in it."""

from making import CANARY, daemon_json, desired, login, observed

from regfleet.errors import HostError, UnreachableError
from regfleet.model.checks import Check
from regfleet.model.files import File
from regfleet.model.plan import Change, Plan
from regfleet.model.report import HostReport, Report
from regfleet.model.resource import Resource
from regfleet.plan.diff import diff

RELOAD = Change(
    Resource("daemon.json", "registry-mirrors"), "create", "client.build.mirrors", "reload"
)
FILE = Change(Resource("file", "/etc/x"), "update", "client.build.registries", diff="-old\n+new")


def report(*hosts):
    return Report("acme", {host.name: host for host in hosts})


def host(name="web1", **settings):
    return HostReport(name, **settings)


def planned(name="web1", changes=(RELOAD, FILE), **settings):
    return host(name, plan=Plan(name, changes, **settings))


def failed(name="web1", message="it broke", hint="mend it", error=HostError):
    made = host(name)
    made.fail(error(name, message, hint))
    return made


def secret_plan():
    """A plan as it is made, with the canary in a file, a login and the key of a registry."""
    key = File("/etc/regfleet/main/registry.key", CANARY.encode(), 0o600, "why", secret=True)
    want = desired(
        files=(key,),
        daemon=daemon_json({"registry-mirrors": ("https://m.example",)}),
        logins=(login(),),
    )
    return diff(want, observed(), "salt")


def everything():
    """A report with something of every kind."""
    return report(
        host("same", plan=Plan("same")),
        host(
            "changed",
            status="changed",
            plan=Plan("changed", (RELOAD, FILE)),
            seconds=1.25,
            notes=("the engine is restarted",),
        ),
        host("secrets", status="changed", plan=secret_plan()),
        failed("gone", "no SSH connection", "is it up?", UnreachableError),
        failed("broken"),
        host("back", status="rolled-back", error="the port is taken", hint="free it"),
        host("later", status="skipped", error="not touched: broken failed"),
        host(
            "tested",
            checks=(
                Check("main/push", "passed", "sha256:00"),
                Check("main/pull", "failed", "no route"),
                Check("main/run", "skipped", "pull failed"),
            ),
        ),
    )
