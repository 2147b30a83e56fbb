"""Backups of real registries while people push, and the drill: their host is gone with its disk.

Both hosts have one volume, as where a disk or a server's directory is mounted on the new one.
"""

import json
import re
import shutil
import threading

import pytest
from test_collection import index
from test_terminal import Terminal

from answering import runs
from pushing import Pusher
from regfleet.rehearse.twin import HostSpec
from workers import SOAK

BODY = """
[registry.main]
hosts = [$HOST]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
users.ci = { password = "generate" }
backup = { to = { mounted = "/mnt/backup" }, keep = 3, key = { env = "BACKUP_KEY" } }

[registry.plain]
hosts = [$HOST]
endpoint = "registry.test:5001"
image_archive = "$registry_tar"
storage = "/var/lib/registry-plain"
tls.source = "none"
backup = { to = { mounted = "/mnt/backup" }, keep = 3, at = "Sun 02:30" }

[client.all]
hosts = [$client1]
registries = ["main"]
login = { main = "ci" }

[smoke]
image_archive = "$busybox_tar"
"""
KEY = "correct horse battery staple"
VOLUME = (("backups", "/mnt/backup"),)
ROUNDS = 20 if SOAK else 2
KEPT = "/mnt/backup/test/plain"


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(
        HostSpec("reg1", volumes=VOLUME), HostSpec("reg2", volumes=VOLUME), HostSpec("client1")
    )


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("fleet") / "state"


@pytest.fixture
def run(twin, state, write_fleet, regfleet):
    """`regfleet COMMAND FLEET ...` with the registries on one host: its document, or its end."""

    def of(command, *words, on="reg1", code=0, key=KEY, text=False):
        fleet = write_fleet(twin, BODY.replace("$HOST", f"${on}"))
        words = (*words, "--state-dir", state, *(() if text else ("--json",)))
        done = regfleet(command, fleet, *words, BACKUP_KEY=key)
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done if text or code == 2 else json.loads(done.stdout)

    return of


@pytest.fixture(scope="module")
def served(twin):
    """Which host the client takes for the registry."""

    def by(host):
        twin.hosts["client1"].read(
            "sed '/registry.test/d' /etc/hosts >/tmp/hosts;"
            f"echo {twin.hosts[host].address} registry.test >>/tmp/hosts;"
            "cat /tmp/hosts >/etc/hosts"
        )

    by("reg1")
    return by


@pytest.fixture
def applied(run, served, state):
    assert served
    if not (state / "ca.crt").exists():
        assert run("apply", "--yes", "--no-smoke")["ok"]
    return True


@pytest.fixture
def pusher(twin):
    return Pusher(f"{twin.hosts['reg1'].address}:5001")


def registry(document, host="reg1", name="plain"):
    assert document["hosts"][host]["error"] is None, document
    return document["hosts"][host]["registries"][name]


def blobs(host):
    return set(host.read(f"cd {KEPT} && find blobs -type f").split())


def test_a_backup_has_what_the_registry_has(twin, run, applied, pusher):
    assert applied
    for number in range(3):
        index(pusher, "team/app", f"{number}.0")
    planned = registry(run("backup", "plain", "--dry-run"))
    assert planned["copied_blobs"] == planned["blobs"]
    assert planned["backup"] is None
    host = twin.hosts["reg1"]
    assert host.run(f"ls {KEPT}").returncode != 0
    made = registry(run("backup", "plain"))
    assert (made["backup"], made["tags"], made["left_out"], made["state"]) == (1, 3, 0, None)
    assert made["copied_bytes"] == planned["copied_bytes"]
    assert len(blobs(host)) == made["blobs"] == 3 + 3 * 2 * 3
    again = registry(run("backup", "plain"))
    assert (again["backup"], again["copied_blobs"]) == (2, 0)

    # Whatever was deleted is in the backups that had it, and goes with the last of them.
    host.read("rm -r /var/lib/registry-plain/docker/registry/v2/repositories/team")
    index(pusher, "other", "1")
    for _ in range(3):
        made = registry(run("backup", "plain"))
    assert (made["backup"], made["tags"], made["blobs"]) == (5, 1, 7)
    assert len(blobs(host)) == 7
    listed = run("backup", "plain", "--list")["registries"]["plain"]
    assert [each["backup"] for each in listed["backups"]] == [3, 4, 5]
    assert [each["tags"] for each in listed["backups"]] == [1, 1, 1]
    assert listed["place"] == KEPT
    assert made["kept"] == 3
    assert made["oldest"] == listed["backups"][0]["taken"]
    shown = run("backup", "plain", "--list", text=True).stdout
    assert "3 backups in /mnt/backup/test/plain" in shown
    for place in ("/mnt/backup", KEPT, f"{KEPT}/backups/5"):
        assert host.read(f"stat -c %U {place}").strip() == "root"
    assert host.read(f"find {KEPT}/ -mindepth 1 -perm /077").strip() == ""


def test_what_rotted_is_found_and_copied_anew(twin, run, applied, pusher):
    assert applied
    host = twin.hosts["reg1"]
    index(pusher, "rotten", "1")
    newest = registry(run("backup", "plain"))["backup"]
    name = max(blobs(host))
    host.read(f"cd {KEPT} && printf damaged | dd of={name} bs=7 count=1 conv=notrunc status=none")
    assert registry(run("backup", "plain"))["copied_blobs"] == 0
    found = registry(run("backup", "plain", "--verify", code=1))
    (bad,) = found["bad_blobs"]
    assert (found["bad"], bad["reason"]) == (1, "damaged")
    assert bad["digest"] == f"sha256:{name.split('/')[-2]}"
    assert newest + 1 in bad["backups"]
    assert registry(run("backup", "plain"))["copied_blobs"] == 1
    found = registry(run("backup", "plain", "--verify"))
    assert (found["bad"], found["blobs"]) == (0, len(blobs(host)))
    said = run("backup", "plain", "--verify", text=True).stdout
    assert "read; all is whole" in said
    assert "do not go together" in run("backup", "--verify", "--list", code=2).stderr


def test_a_terminal_shows_how_far_it_is(twin, applied, pusher, state, write_fleet):
    assert applied
    index(pusher, "far", "1")
    fleet = write_fleet(twin, BODY.replace("$HOST", "$reg1"))
    # The panel names a host that takes longer than three seconds.
    hook = '[ "$2" != backup-prove ] || sleep 5'
    shown = Terminal("backup", fleet, "plain", "--state-dir", state, REGFLEET_TOUCH_HOOK=hook)
    try:
        said = shown.read_until()
        assert shown.process.wait(10) == 0, said
    finally:
        shown.close()
    assert re.search(r"longest: reg1 changing for \d+ s \((\d+) of \1 blobs copied, ", said), said


def test_the_host_backs_up_by_itself(twin, run, applied):
    """By the timer's own service; when that comes round is tested where collections are."""
    assert applied
    host = twin.hosts["reg1"]
    unit = "regfleet-backup-test.plain"
    assert host.read(f"systemctl is-active {unit}.timer").strip() == "active"
    host.read(runs(f"{unit}.service"))
    job = run("status", code=None)["registries"]["plain"]["jobs"]["backup"]
    assert (job["every_seconds"], job["at"], job["attention"]) == (7 * 86400, "Sun 02:30", [])
    last = job["last"]
    assert (last["result"], last["by_itself"]) == ("changed", True), last
    listed = run("backup", "plain", "--list")["registries"]["plain"]["backups"]
    assert last["figures"]["kept"] == len(listed)
    assert last["figures"]["tags"] == listed[-1]["tags"]
    assert last["figures"]["newest"] >= last["figures"]["oldest"] > 0
    assert KEY not in host.read("cat /etc/regfleet/jobs.d/test/backup.plain.sh")


def test_people_push_meanwhile(twin, run, applied, tally):
    assert applied
    ended, failures, pushed = threading.Event(), [], []

    def work(name):
        own = Pusher(f"{twin.hosts['reg1'].address}:5001")
        try:
            while not ended.is_set():
                index(own, "busy/app", f"{name}{len(pushed)}")
                index(own, "busy/app", "moving")
                pushed.append(name)
        except Exception as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(each,)) for each in "abc"]
    for each in threads:
        each.start()
    try:
        before = registry(run("backup", "plain"))
        for _ in range(ROUNDS):
            made = registry(run("backup", "plain"))
            assert made["left_out"] == 0, made
            assert made["tags"] >= before["tags"]
            audited(twin.hosts["reg1"], made["backup"])
            before = made
    finally:
        ended.set()
        for each in threads:
            each.join()
    assert not failures, failures
    assert len(pushed) > ROUNDS
    assert made["copied_blobs"], "nobody pushed meanwhile"
    tally("backup while people push", ROUNDS, ROUNDS)


def audited(host, number):
    """Every tag of a backup, followed here by another program than the backup's own."""
    of = f"{KEPT}/backups/{number}"
    tags = [each.split() for each in host.read(f"grep /current/link {of}/tags").splitlines()]
    links = host.read(f"cat {of}/links").split()
    assert any("/moving/" in path for _, _, path in tags), "a tag that moves is always there"
    bad = host.read(f"cd {KEPT} && find blobs -type f | xargs sha256sum").splitlines()
    whole = {f"sha256:{each[:64]}" for each in bad if each[:64] == each.split("/")[-2]}
    assert len(whole) == len(bad)

    def follow(repository, digest):
        hexes = digest.partition(":")[2]
        assert digest in whole, digest
        manifests = f"repositories/{repository}/_manifests/revisions/sha256/{hexes}/link"
        assert manifests in links, manifests
        document = json.loads(documents[hexes])
        for each in document.get("manifests", ()):
            follow(repository, each["digest"])
        for each in (*filter(None, [document.get("config")]), *document.get("layers", ())):
            assert each["digest"] in whole
            name = each["digest"].partition(":")[2]
            assert f"repositories/{repository}/_layers/sha256/{name}/link" in links

    revisions = {path.split("/")[-2] for path in links if "/revisions/" in path}
    names = "".join(f"{each}\n" for each in revisions)  # too many, in the soak, for an argument
    text = host.run(
        f"cd {KEPT}/blobs/sha256 && while read -r each; do"
        ' echo "$each $(cat $(printf %.2s $each)/$each/data)"; done',
        stdin=names,
    ).stdout
    documents = dict(line.split(" ", 1) for line in text.splitlines())
    for _, digest, path in tags:
        follow(path.split("/_manifests/")[0].removeprefix("repositories/"), digest)


def test_the_place_is_full_or_not_mounted(twin, run, applied, pusher):
    assert applied
    index(pusher, "team/app", "1.0")
    host = twin.hosts["reg1"]
    host.read("mount -t tmpfs -o size=40k,mode=755 tmpfs /mnt/backup")
    try:
        found = run("backup", "plain", code=1)["hosts"]["reg1"]["error"]
        assert "No space left on device" in found
        last = run("status", code=None)["registries"]["plain"]["jobs"]["backup"]
        assert last["attention"] == ["backup rolled-back"]
        assert "No space left on device" in last["last"]["error"]
        host.read("mount -o remount,size=40m /mnt/backup")
        made = registry(run("backup", "plain"))
        assert made["backup"] == 1
        assert host.read(f"ls -A {KEPT}").split() == ["backups", "blobs", "lock", "state"]
    finally:
        host.read("umount /mnt/backup")
    host.read("mkdir -p /mnt/aside; mount --bind /mnt/backup /mnt/aside && umount /mnt/backup")
    try:
        found = run("backup", "plain", code=1)["hosts"]["reg1"]["error"]
        assert "nothing is mounted at /mnt/backup" in found
        assert host.read("ls -A /mnt/backup") == ""
    finally:
        host.read("mount --bind /mnt/aside /mnt/backup && umount /mnt/aside")


def test_one_registry_keeps_no_other_of_its_host_from_anything(twin, run, applied, pusher):
    """The first of the two is not there; of the other nothing was done, and a restore was well."""
    assert applied
    index(pusher, "team/app", "beside")
    registry(run("backup", "plain"))
    twin.hosts["reg1"].read("docker rm -f regfleet-main")
    asked = (("backup",), ("backup", "--dry-run"), ("audit",), ("gc", "--yes"))
    try:
        found = [run(*words, code=1) for words in (*asked, ("restore", "--dry-run"))]
    finally:
        run("apply", "--yes", "--no-smoke")
    for document in found:
        here = document["hosts"]["reg1"]
        assert "regfleet-main does not run here" in here["error"], document
        assert list(here["registries"]) == ["plain"], document


def test_what_is_newer_stays(twin, run, applied, pusher):
    assert applied
    index(pusher, "restored/app", "1.0")
    made = registry(run("backup", "plain"))
    newer, _ = index(pusher, "restored/app", "1.0")
    later, _ = index(pusher, "restored/app", "2.0")
    number = ("--at", made["backup"])
    found = run("restore", "plain", "--yes", *number, code=1)["hosts"]["reg1"]["error"]
    assert "1 tags were pushed anew after backup" in found
    assert "restored/app:1.0" in found
    assert "--overwrite" in found
    planned = registry(run("restore", "plain", "--overwrite", "--dry-run", *number))
    assert planned["overwritten"] == 1
    assert planned["audit"] is None
    done = registry(run("restore", "plain", "--yes", "--overwrite", *number))
    assert done["overwritten"] == 1
    assert done["audit"]["broken"] == 0
    assert done["asked"] > 0
    answer = pusher.request(
        "GET",
        f"http://{twin.hosts['reg1'].address}:5001/v2/restored/app/manifests/1.0",
        (200,),
        headers={"accept": "application/vnd.oci.image.index.v1+json"},
    )
    assert answer.headers["docker-content-digest"] != newer["digest"]
    assert pusher.pull("restored/app", "1.0") == 4
    assert pusher.pull("restored/app", "2.0") == 4
    assert pusher.tags("restored/app") == ["1.0", "2.0"]
    assert later
    assert (
        "no backup 999"
        in run("restore", "plain", "--at", 999, "--yes", code=1)["hosts"]["reg1"]["error"]
    )


def test_the_host_is_gone_with_its_disk(twin, run, served, state, seeds):
    run("apply", "--yes", "--no-smoke")
    client, reg1, reg2 = (twin.hosts[each] for each in ("client1", "reg1", "reg2"))
    images = [f"registry.test:5000/drill/app:{number}.0" for number in range(3)]
    seed = "busybox:latest"
    client.copy_in(seeds.busybox, "/root/busybox.tar")
    client.read("docker load -q </root/busybox.tar")
    for image in images:
        client.read(f"docker tag {seed} {image} && docker push -q {image} && docker rmi {image}")
    index(Pusher(f"{reg1.address}:5001"), "drill/plain", "1.0")
    made = run("backup")["hosts"]["reg1"]["registries"]
    assert made["main"]["state"] == 1
    assert made["main"]["tags"] == 3
    secret = (state / "passwords/main/ci").read_text().strip()
    assert reg2.run(f"grep -r -F {secret} /mnt/backup").returncode == 1

    # Both are lost: the host, and this machine's state directory.
    twin.docker.run("rm", "--force", "--volumes", reg1.container)
    ca = (state / "ca.crt").read_bytes()
    shutil.rmtree(state)
    found = run(
        "restore",
        "main",
        "--state",
        on="reg2",
        key="another one of sufficient length",
        code=1,
        text=True,
    )
    assert "encrypted with another passphrase" in found.stderr
    assert run("restore", "main", "--state", on="reg2")["state"]["files"] > 5
    assert (state / "ca.crt").read_bytes() == ca
    served("reg2")
    assert run("apply", "--yes", "--no-smoke", "--forget", "reg1", on="reg2")["ok"]
    restored = run("restore", "--yes", on="reg2")
    for name, tags in (("main", 3), ("plain", made["plain"]["tags"])):
        found = registry(restored, "reg2", name)
        assert found["tags"] == tags
        assert found["audit"]["tags"] == tags
        assert found["left_out_tags"] == []
    for image in images:
        client.read(f"docker pull -q {image}")
    new = Pusher(f"{reg2.address}:5001")
    assert new.pull("drill/plain", "1.0") == 4
    for tag in new.tags("busy/app"):
        assert new.pull("busy/app", tag) == 4
    assert run("plan", "--detailed-exitcode", on="reg2")
    again = registry(run("backup", "plain", on="reg2"), "reg2")
    assert (again["copied_blobs"], again["backup"]) == (0, made["plain"]["backup"] + 1)
