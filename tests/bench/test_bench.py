"""What `make bench` measures is honest: the same work by everybody, counted, and seen when undone.

Nothing here asks how long anything took.
"""

from dataclasses import replace

import figures
import full_hosts
import impact
import pytest
import rivals
import scale
import timing

from regfleet.rehearse.twin import HostSpec

MANY = 20


@pytest.fixture(scope="module")
def hosts(boot_for_module, seeds, tmp_path_factory):
    """Two hosts, applied: reg1, which runs the registry, and c02."""
    del seeds
    twin = boot_for_module(HostSpec("reg1", aliases=("registry.bench",)), HostSpec("c02"))
    hosts = full_hosts.Hosts(twin, tmp_path_factory.mktemp("bench"))
    hosts.write()
    rivals.regfleet(hosts, "--no-smoke")
    return hosts


@pytest.fixture(scope="module")
def wanted(hosts):
    return hosts.export()


def test_pyinfra_does_the_same_work(hosts, wanted):
    pyinfra = rivals.Pyinfra(hosts, wanted)
    rivals.check(hosts, wanted)
    pyinfra.noop()
    rivals.spoil(hosts)
    with pytest.raises(rivals.NotTheSameWorkError, match="mode of /etc/docker/certs"):
        rivals.check(hosts, wanted)
    with pytest.raises(rivals.NotTheSameWorkError):
        pyinfra.noop()
    rivals.check(hosts, wanted)


def test_regfleet_does_the_same_work_with_one_command_a_host(hosts, wanted, counted):
    rivals.spoil(hosts)
    with pytest.raises(rivals.NotTheSameWorkError, match="changed"):
        rivals.regfleet_noop(hosts)
    rivals.check(hosts, wanted)
    with counted(hosts.twin) as sessions:
        rivals.regfleet_noop(hosts)
    assert sessions == {"reg1": 1, "c02": 1}


def test_kept_connections_do_the_same_work(hosts, counted):
    rivals.regfleet(hosts)
    rivals.regfleet_kept(hosts)
    rivals.ssh_kept(hosts)
    for _ in range(3):  # on a busy machine a host that is slow to answer is asked anew
        with counted(hosts.twin) as sessions:
            rivals.regfleet_kept(hosts)
        if sessions == {"reg1": 1, "c02": 1}:
            break
    assert sessions == {"reg1": 1, "c02": 1}


@pytest.mark.soak
def test_everybody_does_the_same_work_on_sites(hosts):
    """Each host with a registry of its own: the full hosts that a run with nothing to do sees."""
    hosts.reset()
    sites = full_hosts.Hosts(hosts.twin, hosts.directory / "sites", sites=True)
    sites.write()
    rivals.regfleet(sites, "--no-smoke")
    wanted = sites.export()
    pyinfra = rivals.Pyinfra(sites, wanted)
    with pytest.raises(rivals.NotTheSameWorkError, match="a smoke test to do"):
        rivals.regfleet_noop(sites)  # nothing is proven yet
    for tool in (lambda: rivals.regfleet(sites), pyinfra.apply):
        rivals.spoil(sites)
        with pytest.raises(rivals.NotTheSameWorkError, match="no registry"):
            rivals.check(sites, wanted)
        tool()
        rivals.check(sites, wanted)
    rivals.regfleet_noop(sites)
    pyinfra.noop()
    sites.everywhere("docker rm -f $(docker ps -aq)")
    pyinfra.apply()  # runs it as regfleet would
    rivals.check(sites, wanted)
    hosts.reset()
    rivals.regfleet(hosts, "--no-smoke")


def test_many_hosts_that_only_answer_are_asked_once_each(hosts, tmp_path):
    hosts.write()
    recording = scale.record(hosts.twin, "c02", hosts.fleet_file, hosts.body())
    found = scale.apply(recording, MANY, tmp_path)
    assert found.unchanged == MANY
    assert found.counts == {"connections": MANY, "commands": MANY, "refused": 0}


def test_more_hosts_than_files_may_be_open(hosts, tmp_path):
    """Connections of hosts that are done make room; nobody is connected to twice for it."""
    recording = scale.record(hosts.twin, "c02", hosts.fleet_file, hosts.body())
    found = scale.apply(recording, 60, tmp_path, files=120)
    assert found.unchanged == 60
    assert found.counts == {"connections": 60, "commands": 60, "refused": 0}


def test_a_change_in_batches_costs_one_connection_a_host(hosts):
    """Hosts that wait for their batch stay connected, and so does who is asked once more."""
    count = "grep -c 'Accepted publickey' /var/log/sshd.log"
    before = hosts.everywhere(count)
    with hosts.write("https://batched.example.com").open("a") as file:
        file.write("[rollout]\ncanary = 1\nbatch = 1\n")
    rivals.regfleet(hosts)
    live = hosts.everywhere("docker info --format '{{.RegistryConfig.Mirrors}}'")
    assert set(live.values()) == {"[https://batched.example.com/]"}
    after = hosts.everywhere(count)
    assert {name: int(after[name]) - int(before[name]) for name in after} == {"reg1": 1, "c02": 1}


def test_a_stub_answers_no_other_question(hosts, tmp_path):
    hosts.write()
    recording = scale.record(hosts.twin, "c02", hosts.fleet_file, hosts.body())
    changed = replace(recording, program=f"{recording.program}\n# asked otherwise\n")
    with pytest.raises(timing.CommandFailedError, match="can only be looked at"):
        scale.apply(changed, 1, tmp_path)


def test_a_reloadable_change_loses_no_answer(hosts, seeds):
    host = hosts.twin.hosts["c02"]
    impact.start(host, seeds.busybox)
    try:
        hosts.write("https://mirror.example.com https://another.example.com")
        found = impact.during(host, lambda: rivals.regfleet(hosts, "--limit", "c02"))
        assert "another.example.com" in host.read("docker info")
        assert found.sent > 20
        assert (found.lost, found.reasons) == (0, set())
        stopped = impact.during(host, lambda: host.read(f"docker restart -t 1 {impact.NAME}"))
        assert stopped.lost > 0  # or nothing would be seen here
    finally:
        impact.stop(host)


DOCUMENT = {
    "noop": {
        "hosts": 30,
        "seconds": {
            "regfleet": [1.0, 1.2, 1.1],
            "kept": [0.55],
            "ssh": [2.2],
            "pyinfra": [8.0],
            "ansible": [99.0],
        },
    },
    "first": {"hosts": 30, "seconds": {"regfleet": [10.0], "pyinfra": [60.0]}},
    "scale": [
        {"hosts": 100, "seconds": [2.0], "cpu": [1.0], "peak_mib": [90.0], "commands": 100},
        {"hosts": 1000, "seconds": [22.0], "cpu": [9.0], "peak_mib": [140.0], "commands": 1000},
    ],
    "impact": {"regfleet": {"sent": 300, "lost": 1, "longest": 0.02}},
}


def test_goals():
    found = [(goal.limit, round(goal.found, 3), goal.met) for goal in figures.goals(DOCUMENT)]
    assert found == [
        (0.7, 0.5, True),
        (0.7, 0.25, True),
        (1 / 8, 0.138, False),
        (1 / 8, 0.069, True),
        (1 / 60, 0.011, True),
        (1 / 60, 0.006, True),
        (150, 140, True),
        (10.5, 11.0, False),
        (0, 1, False),
    ]
    assert figures.goals({"first": DOCUMENT["first"]}) == []


def test_the_table_and_the_plot_say_what_was_measured():
    table = figures.table(DOCUMENT)
    assert "| xargs -P 32 ssh host true | 2.20 s | 2.20 to 2.20 | 0.5 |" in table
    assert "| 1000 | 22.00 s | 9.00 s | 140 MiB | 1 |" in table
    assert "missed" in table
    plot = figures.plot(DOCUMENT)
    assert plot.count('class="ours"') == 5
    assert plot.count('class="theirs"') == 4
    assert "Nothing to do, 30 full hosts: regfleet apply 1.10 s, regfleet apply, control" in plot
