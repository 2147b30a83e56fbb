"""Reports of small and large runs, for the page."""

from making import NOW, client, fleet, host, registry

from regfleet.fleet.clients import Mirror
from regfleet.fleet.registries import Tls
from regfleet.model.checks import Check
from regfleet.model.plan import Change, Plan
from regfleet.model.report import HostReport, Report
from regfleet.model.resource import Resource
from regfleet.report import html

STEPS = ("present", "push", "remove", "pull", "digest", "run", "delete")
REFUSALS = ("anonymous-refused", "wrong-password-refused", "plain-http-refused")
CHANGES = (
    Change(
        Resource("file", "/etc/docker/certs.d/reg.example.com:5000/ca.crt"),
        "create",
        "client.build",
    ),
    Change(Resource("daemon.json", "registry-mirrors"), "update", "client.build.mirrors", "reload"),
    Change(Resource("login", "root@reg.example.com:5000"), "create", "client.build.login: main"),
)
RESTART = (
    *CHANGES,
    Change(Resource("daemon.json", "log-driver"), "update", "client.build.daemon", "restart"),
)


def passed(registry_name="main"):
    return tuple(Check(f"{registry_name}/{step}", "passed") for step in STEPS)


def failed(at, why, registry_name="main"):
    place = STEPS.index(at)
    return tuple(
        Check(
            f"{registry_name}/{step}",
            "passed" if number < place else "failed" if number == place else "skipped",
            why if number == place else "",
        )
        for number, step in enumerate(STEPS)
    )


def run(clients=8, **odd):
    """A run: hosts `web1` and so on in the group `build`, all changed and proven but the odd."""
    names = [f"web{number}" for number in range(1, clients + 1)]
    group = client(
        hosts=tuple(host(name) for name in names), mirrors=(Mirror("https://mirror.example.com"),)
    )
    elsewhere = registry("hub", "hub.example.com", hosts=(), external=True, tls=Tls("public"))
    declared = fleet([registry(), elsewhere], [group])
    first = HostReport("reg1", "unchanged", Plan("reg1"), seconds=1.5)
    first.checks = tuple(Check(f"main/{name}", "passed") for name in REFUSALS)
    reports = {"reg1": first}
    for name in names:
        reports[name] = odd.get(name) or HostReport(
            name, "changed", Plan(name, CHANGES), checks=passed(), seconds=3.25
        )
    return declared, Report("acme", reports)


def bad_day(clients=8):
    """A run with one of each trouble, on the first hosts."""
    return run(
        clients,
        web1=HostReport(
            "web1",
            "rolled-back",
            Plan("web1", RESTART, running=4),
            "the engine did not come up again",
            "take --log-driver out of its unit",
        ),
        web2=HostReport("web2", "unreachable", None, "cannot connect to web2:22: timed out"),
        web3=HostReport("web3", "unreachable", None, "cannot connect to web3:22: timed out"),
        web4=HostReport("web4", "changed", Plan("web4", CHANGES), checks=failed("push", "denied")),
        web5=HostReport("web5", "skipped", Plan("web5", CHANGES), "not touched: web1 failed"),
    )


def page(run_of, certificates=(), command="regfleet apply acme.toml --yes"):
    declared, report = run_of
    return html.render(declared, report, certificates=certificates, when=NOW, command=command)
