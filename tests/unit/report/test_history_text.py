"""Runs and ways back for people."""

from io import StringIO

from rich.console import Console

from regfleet.journal import HostRun, Run
from regfleet.model.resource import Resource
from regfleet.report.history_text import show_generations, show_runs, show_ways
from regfleet.run.back import Way
from regfleet.touch.generations import Generation

WHEN = "2026-01-31T12:00:00Z"
CHANGES = tuple(("create", Resource("file", f"/etc/{number}")) for number in range(8))


def printed(show, *arguments, **settings):
    out = StringIO()
    show(*arguments, Console(file=out, width=200), **settings)
    return out.getvalue()


def run(number, hosts, **settings):
    made = Run(number, "run-a", "apply", "regfleet apply f.toml", "ops", "control", WHEN)
    return Run(**{
        **{name: getattr(made, name) for name in made.__slots__}, "hosts": hosts, **settings,
    })  # fmt: skip


def test_runs_with_what_they_did_where():
    hosts = {f"web{number}": HostRun("changed", CHANGES) for number in range(1, 4)}
    hosts["db1"] = HostRun("unknown", CHANGES[:1], "it is not known")
    text = printed(
        show_runs,
        [
            run(12, hosts, ok=False),
            run(11, {"web1": HostRun("changed", undone=12)}, ok=True),
            run(10, {}),
        ],
    )
    assert (
        "run 12  2026-01-31 12:00:00 UTC  not well  ops on control: regfleet apply f.toml" in text
    )
    assert "web[1:3]: changed" in text
    assert "+ file /etc/5" in text
    assert "and 2 more" in text
    assert "db1: unknown whether it was changed (it is not known)" in text
    assert "web1: changed; undone by run 12" in text
    assert "run 10  2026-01-31 12:00:00 UTC  did not finish" in text


def test_all_of_it_where_asked():
    hosts = {"web1": HostRun("changed", CHANGES)}
    assert "file /etc/7" in printed(show_runs, [run(1, hosts)], every=True)


def generation(number, **settings):
    return Generation(number, "acme", WHEN, **settings)


def test_generations_say_whose_they_are():
    changes = (("delete", Resource("user", "bob")),)
    kept = [generation(3, run=12, id="run-a", who="ops@control", changes=changes),
            Generation(2, "other", ""), generation(1, present=("/etc/a",))]  # fmt: skip
    out = StringIO()
    show_generations("web1", kept, "acme", Console(file=out, width=200), every=False)
    text = out.getvalue()
    assert "generation 3  2026-01-31 12:00:00 UTC  run 12 of ops@control" in text
    assert "+ user bob: comes back" in text
    assert "run not noted, of the fleet other" in text
    assert "~ file /etc/a: returns to its earlier state" in text


def test_ways_back_that_are_alike_stand_together():
    way = Way((generation(3, run=12, id="a", who="ops", changes=CHANGES[:1]),), 3)
    text = printed(show_ways, {"web1": way, "web2": way, "web3": way, "db1": Way()})
    assert "web[1:3]: takes back run 12 (2026-01-31 12:00:00 UTC, ops)" in text
    assert "- file /etc/0: is removed" in text
    assert "db1: nothing to take back" in text
