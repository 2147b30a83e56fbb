"""`regfleet gc` on real registries: what no tag leads to goes, and nothing else, while people push.

Sizes are those of the disk: every layer is of random bytes.
"""

import itertools
import json
import re
import threading
import time

import pytest

from pushing import Pusher, RefusedError, digest_of
from workers import SOAK

DATA = "/var/lib/registry/docker/registry/v2"
FLEET = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
tls.source = "none"
"""
ROUNDS, IMAGES = (20, 300) if SOAK else (1, 20)
RECORD = "/var/lib/regfleet/records/collection.regfleet-main"
AGED = f"find {DATA}/repositories -path '*/revisions/*/link' -exec touch -d '2 days ago' {{}} +"


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("reg1=registry.test")


@pytest.fixture
def fleet(twin, write_fleet, regfleet):
    path = write_fleet(twin, FLEET)
    done = regfleet("apply", path, "--yes")
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def pusher(twin):
    return Pusher(f"{twin.hosts['reg1'].address}:5000")


@pytest.fixture
def host(twin):
    return twin.hosts["reg1"]


@pytest.fixture
def gc(fleet, regfleet):
    """`regfleet gc`: its document."""

    def run(*words, code=0):
        done = regfleet("gc", fleet, "--json", *words)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    return run


def size(host):
    """Bytes of all blobs, those of manifests included."""
    return int(host.read(f"cat $(find {DATA}/blobs -name data) | wc -c"))


def index(pusher, repository, tag, platforms=2):
    """An image for several platforms, whose parts have no tags."""
    members = [pusher.image(repository) for _ in range(platforms)]
    return pusher.index(repository, tag, members), members


def nothing_is_left(host):
    """Of a collection that ended: the registry takes pushes, and no file of it is there."""
    left = host.read(
        "ls -A /var/lib/registry /var/lib/registry/docker/registry; ls /var/lib/regfleet;"
        "ls /run/regfleet | grep read-only; grep -c config.yml /proc/self/mounts || :"
    ).split()
    assert "collecting" not in left, left
    assert not [each for each in left if "collection" in each or "read-only" in each], left
    assert left[-1] == "0", left


def test_what_no_tag_leads_to_goes_and_nothing_else(host, pusher, gc, fleet, regfleet):
    kept = [index(pusher, "team/app", f"{number}.0") for number in range(3)]
    pusher.image("team/app", "plain")
    pusher.image("other", "1")
    signed = pusher.image("team/app", "signed")
    pusher.image("team/app", subject=signed)  # no tag: it stays with what it belongs to
    host.read(AGED)
    before = size(host)
    gone = [index(pusher, "team/app", "moving") for _ in range(2)]
    pusher.image("team/app", "moving")
    after_moving = size(host)

    # Too young: nothing goes.
    planned = gc("--dry-run")["hosts"]["reg1"]["registries"]["main"]
    assert (planned["untagged"], planned["blobs"]) == (0, 0)
    host.read(AGED)
    planned = gc("--dry-run")["hosts"]["reg1"]["registries"]["main"]
    assert planned["untagged"] == 6
    assert planned["bytes"] == sum(
        each["size"] + sum(one["size"] + 1040 for one in members) for each, members in gone
    )
    assert size(host) == after_moving
    assert "give --yes" in regfleet("gc", fleet).stderr

    # A fresh part of an index to come, and one whose upload is not done.
    young = pusher.image("team/app")
    pusher.request("POST", f"{pusher._base}/team/app/blobs/uploads/", (202,))
    collected = gc("--yes")["hosts"]["reg1"]["registries"]["main"]
    assert (collected["untagged"], collected["bytes"]) == (6, planned["bytes"])
    assert size(host) == after_moving - planned["bytes"] + young["size"] + 1040
    assert size(host) > before
    nothing_is_left(host)
    for tag in pusher.tags("team/app"):
        pusher.pull("team/app", tag)
    for each, members in kept:
        assert pusher.pull("team/app", each["digest"]) == 2 * len(members)
    pusher.index("team/app", "late", [young])
    assert pusher.pull("team/app", "late") == 2
    # What is gone can be pushed again: nothing remembers it.
    layer = b"once more"
    pusher.image("again", "1", layers=[layer])
    host.read(f"rm -r {DATA}/repositories/again/_manifests")
    assert gc("--yes")["hosts"]["reg1"]["registries"]["main"]["blobs"] == 3
    pusher.image("again", "1", layers=[layer])
    assert pusher.pull("again", "1") == 2
    assert regfleet("plan", fleet, "--detailed-exitcode").returncode == 0


def test_nothing_to_collect_restarts_nothing(host, gc):
    gc("--yes")
    started = "docker inspect -f '{{.State.StartedAt}}' regfleet-main"
    before = host.read(started)
    assert gc("--yes")["hosts"]["reg1"]["registries"]["main"]["read_only_seconds"] == 0
    assert host.read(started) == before


class Busy:
    """Two who push and one who pulls, until it is ended; each repeats what was refused."""

    def __init__(self, host):
        self.address = f"{host.address}:5000"
        self.ended = threading.Event()
        self.pushed, self.pulled, self.failures, self.pushers = [], [], [], []
        self.threads = [
            *(threading.Thread(target=self.work, args=(self.push, name)) for name in "ab"),
            threading.Thread(target=self.work, args=(self.pull, "")),
        ]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def work(self, what, name):
        own = Pusher(self.address)
        self.pushers.append(own)
        try:
            for number in itertools.takewhile(lambda _: not self.ended.is_set(), itertools.count()):
                own.pushed_at_last(lambda number=number: what(own, f"{name}{number}") or True)
        except Exception as error:  # noqa: BLE001 - told by the test
            self.failures.append(error)

    def push(self, own, tag):
        index(own, "busy/app", tag)
        self.pushed.append(tag)

    def pull(self, own, number):
        tag = str(int(number) % IMAGES)
        assert own.pull("busy/app", tag) == 4
        self.pulled.append(tag)


def test_pushes_and_pulls_go_on_meanwhile(host, pusher, gc, tally):
    for number in range(IMAGES):
        index(pusher, "busy/app", f"{number}")
        index(pusher, "busy/app", "moving")
    seconds = []
    with Busy(host) as busy:
        time.sleep(1)
        for _ in range(ROUNDS):
            pusher.pushed_at_last(lambda: index(pusher, "busy/app", "moving"))
            host.read(AGED)
            seconds.append(gc("--yes")["hosts"]["reg1"]["registries"]["main"]["read_only_seconds"])
        before = len(busy.pushed)
        for _ in range(120):
            if len(busy.pushed) > before:
                break
            time.sleep(0.5)
    assert not busy.failures, busy.failures
    assert len(busy.pushed) > before
    assert busy.pulled
    assert all(seconds), "nothing was collected"
    assert sum(each.refused for each in busy.pushers) > 0, "nobody pushed while it was read-only"
    for tag in pusher.tags("busy/app"):
        assert pusher.pull("busy/app", tag) == 4, tag
    tally("collection while people push and pull", ROUNDS, ROUNDS)
    print(f"read-only for {seconds} s; {len(busy.pushed)} pushed, {len(busy.pulled)} pulled")  # noqa: T201


def test_a_damaged_store_is_left_alone(host, pusher, gc):
    pusher.image("damaged", "1")
    link = f"{DATA}/repositories/damaged/_manifests/tags/1/current/link"
    kept = host.read(f"cat {link}; : >{link}").strip()
    before = size(host)
    document = gc("--yes", code=1)
    assert "1 link files are empty" in document["hosts"]["reg1"]["error"]
    assert size(host) == before
    host.read(f"printf %s {kept} >{link}")
    gc("--yes")
    assert pusher.pull("damaged", "1") == 2


@pytest.fixture
def audit(fleet, regfleet):
    """`regfleet audit`: what it says of the registry."""

    def run(code=0):
        done = regfleet("audit", fleet, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        document = json.loads(done.stdout)
        assert document["ok"] == (code == 0)
        return document["hosts"]["reg1"]["registries"]["main"]

    return run


def test_an_audit_finds_what_cannot_be_pulled(host, pusher, audit, fleet, regfleet):
    made, members = index(pusher, "audited/app", "1.0")
    pusher.image("audited/app", "signature", subject=made)
    layer = b"a layer with an end"
    for tag in ("whole", "missing", "damaged", "unlinked"):
        pusher.image(f"audited/{tag}", "1", layers=[layer + tag.encode()])
    pusher.image("audited/empty", "1")
    found = audit()
    assert found["tags"] == len(host.read(f"find {DATA} -path '*/current/link'").split())
    assert found["bytes"] == size(host)
    assert (found["broken"], found["damaged"], found["empty"]) == (0, 0, 0)

    def place(tag):
        digest = digest_of(layer + tag.encode()).partition(":")[2]
        return f"{DATA}/blobs/sha256/{digest[:2]}/{digest}", digest

    missing, of_missing = place("missing")
    damaged, of_damaged = place("damaged")
    _, of_unlinked = place("unlinked")
    part = members[1]["digest"].partition(":")[2]
    link = f"{DATA}/repositories/audited/unlinked/_layers/sha256/{of_unlinked}"
    empty = f"{DATA}/repositories/audited/empty/_manifests/tags/1/current/link"
    host.read(
        f"mv {missing} /tmp/blob; cp {damaged}/data /tmp/data; echo x >>{damaged}/data;"
        f"mv {link} /tmp/unlinked; mv {DATA}/blobs/sha256/{part[:2]}/{part} /tmp/part;"
        f"cp {empty} /tmp/empty; : >{empty}"
    )
    found = audit(code=1)
    broken = found["broken_tags"]
    reasons = {f"{each['repository']}:{each['tag']}": each["reason"] for each in broken}
    assert reasons == {
        "audited/app:1.0": f"is missing: sha256:{part}",
        "audited/missing:1": f"is missing: sha256:{of_missing}",
        "audited/damaged:1": f"is damaged: sha256:{of_damaged}",
        "audited/unlinked:1": f"is not linked in the repository: sha256:{of_unlinked}",
    }
    assert found["damaged_blobs"] == [f"sha256:{of_damaged}"]
    assert found["empty_links"] == ["repositories/audited/empty/_manifests/tags/1/current/link"]
    for name in ("missing", "damaged", "unlinked"):
        with pytest.raises((RefusedError, AssertionError)):
            pusher.pull(f"audited/{name}", "1")
    shown = regfleet("audit", fleet)
    assert shown.returncode == 1
    assert (
        f"main/audited/missing:1 cannot be pulled: is missing: sha256:{of_missing}" in shown.stdout
    )

    host.read(
        f"mv /tmp/blob {missing}; cp /tmp/data {damaged}/data; mv /tmp/unlinked {link};"
        f"mv /tmp/part {DATA}/blobs/sha256/{part[:2]}/{part}; cp /tmp/empty {empty}"
    )
    assert audit()["broken"] == 0
    for tag in ("whole", "missing", "damaged", "unlinked"):
        assert pusher.pull(f"audited/{tag}", "1") == 2


UNIT = "regfleet-collection-test.main"
BY_ITSELF = "[registry.main.retention.gc]\nat = "


def status(regfleet, path, *words):
    return json.loads(regfleet("status", path, "--json", *words).stdout)


BY_ITSELF_AGO = re.compile("collection: (just now|[0-9]+ minutes? ago) by itself, freed")


def test_the_host_collects_by_itself(twin, pusher, write_fleet, regfleet, tmp_path):
    """By its own clock, without a controller; the record is there for whoever asks."""
    host = twin.hosts["reg1"]
    words = ("--state-dir", tmp_path)
    done = regfleet("apply", write_fleet(twin, FLEET), "--yes", "--no-smoke", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    pusher.image("itself", "1")
    pusher.image("itself", "moving")
    gone = pusher.image("itself", "moving")
    pusher.image("itself", "moving")
    host.read(AGED)
    # A full minute, which is still to come when the timer is there: 40 to 100 seconds from now.
    hour, minute = host.read("date -d '+100 seconds' +'%H %M'").split()
    fleet = write_fleet(twin, f'{FLEET}{BY_ITSELF}"{hour}:{minute}"\n')
    done = regfleet("apply", fleet, "--yes", "--no-smoke", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    for _ in range(400):
        found = host.run(f"cat {RECORD}").stdout
        if "@run timer-" in found:
            break
        time.sleep(0.5)
    assert "@outcome changed" in found, host.read(f"journalctl -u {UNIT}")
    pusher.request("GET", f"{pusher._base}/itself/manifests/{gone['digest']}", (404,))
    assert pusher.pull("itself", "moving") == 2
    nothing_is_left(host)
    job = status(regfleet, fleet, *words)["registries"]["main"]["jobs"]["collection"]
    assert (job["every_seconds"], job["at"], job["attention"]) == (86400, f"{hour}:{minute}", [])
    assert (job["last"]["result"], job["last"]["by_itself"]) == ("changed", True)
    assert job["last"]["figures"]["bytes_freed"] >= gone["size"]
    assert BY_ITSELF_AGO.search(regfleet("status", fleet, *words).stdout)
    assert regfleet("plan", fleet, "--detailed-exitcode", *words).returncode == 0
    assert host.read("stat -c '%a %U' /etc/regfleet/jobs.d/test/*").split() == ["700", "root"]
    # Whoever collects, the record is the same one.
    pusher.image("itself", "moving")
    host.read(AGED)
    done = regfleet("gc", fleet, "--yes", *words)
    assert done.returncode == 0, done.stderr
    last = status(regfleet, fleet, *words)["registries"]["main"]["jobs"]["collection"]["last"]
    done = regfleet("history", fleet, *words)
    assert "regfleet-main on reg1: " in done.stdout
    assert " bytes freed" in done.stdout
    # Drift, and a run that meets other work waits for it.
    host.read(f"systemctl stop {UNIT}.timer")
    assert f"timer {UNIT}" in regfleet("plan", fleet, *words).stdout
    host.read(f"flock /var/lib/regfleet/lock sleep 8 & sleep 1; systemctl start {UNIT}.service")
    record = host.read(f"cat {RECORD}")
    assert "@outcome unchanged" in record
    assert (last["result"], last["by_itself"], last["figures"]["untagged"]) == ("changed", False, 1)
    # It goes with the schedule, and comes back with a rollback.
    without = write_fleet(twin, FLEET)
    for command, there in (
        (("apply", without, "--yes", "--no-smoke"), False),
        (("rollback", without, "--yes"), True),
        (("destroy", fleet, "--yes"), False),
    ):
        done = regfleet(*command, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        active = host.run(f"systemctl is-active {UNIT}.timer").stdout.strip() == "active"
        assert (active, "jobs.d" in host.read("ls /etc/regfleet || :")) == (there, there)
    left = "ls /var/lib/regfleet /var/lib/systemd/timers/*regfleet* /etc/systemd/system/*regfleet*"
    assert host.run(left).stdout == ""
