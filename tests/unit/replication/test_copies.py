"""Copies between real registries: every kind of image, requests counted, deletions, conflicts."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from places import CONFIG, DOCKER, DOCKER_LIST, EMPTY, OCI, Line, digest_of

from regfleet.registry_api import deletion
from regfleet.replication import bundle, engine, now
from regfleet.replication.engine import client, copier
from regfleet.shell.how_far import Ear

FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


def fill_kinds(place, name):
    """Images of all kinds in one repository, named for what they are."""
    amd = place.image(name, "oci", b"a" * 1000, b"shared")
    arm = place.image(name, None, b"arm", b"shared", config={"architecture": "arm64"})
    docker = place.image(name, "docker", b"d" * 5000, b"shared", kind=DOCKER)
    place.image(name, "no-layers")
    place.image(name, "same-layer-twice", b"twice", b"twice")
    place.image(name, "empty-layer", b"")
    place.image(name, "annotated", b"x", annotations={"a": "ü" * 100})
    place.put(
        name,
        "zstd",
        {
            "schemaVersion": 2,
            "mediaType": OCI,
            "config": place.describe(name, b"{}", CONFIG),
            "layers": [place.describe(name, b"zst", "application/vnd.oci.image.layer.v1.tar+zstd")],
        },
    )
    place.put(
        name,
        "artifact",
        {
            "schemaVersion": 2,
            "mediaType": OCI,
            "artifactType": "application/vnd.example+json",
            "config": place.describe(name, b"{}", EMPTY),
            "layers": [place.describe(name, b"sbom", "application/spdx+json")],
        },
    )
    place.put(
        name,
        "chart",
        {
            "schemaVersion": 2,
            "mediaType": OCI,
            "config": place.describe(
                name, b'{"name":"c"}', "application/vnd.cncf.helm.config.v1+json"
            ),
            "layers": [
                place.describe(
                    name, b"chart", "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
                )
            ],
        },
    )
    multi = place.index(
        name,
        "multi",
        amd | {"platform": {"architecture": "amd64", "os": "linux"}},
        arm | {"platform": {"architecture": "arm64", "os": "linux"}},
    )
    place.index(
        name,
        "list",
        docker | {"platform": {"architecture": "amd64", "os": "linux"}},
        kind=DOCKER_LIST,
    )
    place.index(name, "nested", multi, arm)
    place.index(name, "empty-index")
    place.index(name, "typed-children", amd | {"artifactType": "application/vnd.example"})
    attestation = place.image(name, None, b"in-toto", config={"architecture": "unknown"})
    place.index(
        name,
        "buildkit",
        amd,
        attestation
        | {
            "platform": {"architecture": "unknown", "os": "unknown"},
            "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
        },
    )
    place.image(
        name,
        "latest",
        b"a" * 1000,
        b"shared",
        config={"architecture": "amd64", "os": "linux", "n": f"{name}oci"},
    )  # the digest of `oci`
    for suffix in ("sig", "att", "sbom"):
        place.image(name, f"sha256-{amd['digest'][7:]}.{suffix}", suffix.encode())
    signature = place.image(name, None, b"notation", subject=amd, artifactType="application/jose")
    place.index(
        name, f"sha256-{amd['digest'][7:]}", signature | {"artifactType": "application/jose"}
    )
    place.image(name, f"sha256-{arm['digest'][7:]}.sig", b"of a child")
    place.image(name, "large", os.urandom(3_000_000))
    return place.tags(name)


def test_every_kind_arrives_with_its_digest_and_a_second_run_puts_nothing(pair, copy):
    source, target = pair
    tags = fill_kinds(source, "kinds/all")
    assert len(tags) == 22
    first = copy(source, target, repositories=["kinds/*"])
    assert first["errors"] == []
    assert (first["state"], first["counts"]["copied"]) == ("ok", 22)
    for tag in tags:
        assert target.digest("kinds/all", tag) == source.digest("kinds/all", tag)
        target.whole("kinds/all", tag)
    again = copy(source, target, repositories=["kinds/*"])
    assert again["state"] == "ok"
    assert again["counts"] | {"tags": 22, "same": 22, "repositories": 1} == again["counts"]
    assert again["counts"]["manifests"] == again["counts"]["blobs"] == 0
    # Two requests a tag; further the ping and the lists of repositories and tags.
    assert sum(again["requests"].values()) <= 2 * 22 + 10


def test_blobs_that_the_target_has_are_mounted_or_left(pair, copy):
    source, target = pair
    base = os.urandom(200_000)
    for name in ("mount/a", "mount/b", "mount/c"):
        source.image(name, "1", base, name.encode())
    ended = copy(source, target, repositories=["mount/*"])
    assert ended["state"] == "ok"
    assert ended["counts"]["mounted"] == 2
    assert 200_000 < ended["counts"]["bytes"] < 300_000


def test_a_foreign_layer_says_what_the_target_must_allow(start, pair, copy):
    source = start(validation={"manifests": {"urls": {"allow": ["^https?://"]}}})
    layer = {
        "mediaType": FOREIGN,
        "digest": digest_of(b"elsewhere"),
        "size": 9,
        "urls": ["https://layers.example.com/1"],
    }
    source.put(
        "win/core",
        "1",
        {
            "schemaVersion": 2,
            "mediaType": DOCKER,
            "config": source.describe("win/core", b"{}", CONFIG),
            "layers": [layer],
        },
    )
    ended = copy(source, pair[1])
    assert ended["state"] == "failed"
    assert "validation.manifests.urls.allow" in ended["errors"][0]
    ended = copy(source, start(validation={"manifests": {"urls": {"allow": ["^https?://"]}}}))
    assert ended["errors"] == []


def test_only_what_matches_goes_and_its_signatures_go_along(start, copy):
    source, target = start(), start()
    wanted = source.image("app/web", "v1", b"wanted")
    child = source.image("app/web", None, b"child")
    source.index("app/web", "v2", child)
    other = source.image("app/web", "dev", b"other")
    for each in (wanted, child, other):
        source.image("app/web", f"sha256-{each['digest'][7:]}.sig", each["digest"].encode())
    source.image("app/secret", "v1", b"secret")
    source.image("lib/x", "v1", b"x")
    for _ in range(2):
        ended = copy(source, target, repositories=["app/*"], exclude=["*/secret"], tags=["v*"])
        assert ended["state"] == "ok"
        assert set(target.api().catalog()) == {"app/web"}
        signatures = {f"sha256-{each['digest'][7:]}.sig" for each in (wanted, child)}
        assert target.tags("app/web") == {"v1", "v2"} | signatures
    assert (ended["counts"]["same"], ended["counts"]["copied"]) == (4, 0)


def test_a_signature_is_there_before_its_image(start, copy, monkeypatch):
    source, target = start(), start()
    image = source.image("a", "1", b"1")
    source.image("a", f"sha256-{image['digest'][7:]}.sig", b"s")
    order = []
    put = engine.Registry.put_manifest
    monkeypatch.setattr(
        engine.Registry, "put_manifest", lambda *a: (order.append(a[2]), put(*a))[1]
    )
    copy(source, target)
    assert [each[:6] for each in order] == ["sha256", "1"]


def test_tls_and_a_login_at_both_ends(start, copy):
    source = start(tls=True, user=("ci", "pässword:with colon"))
    target = start(tls=True, user=("other", "secret"))
    source.image("a/b", "1", b"layer")
    ended = copy(source, target)
    assert ended["errors"] == []
    assert target.digest("a/b", "1") == source.digest("a/b", "1")
    wrong = copy(source, target.settings(password="wrong"))
    assert (wrong["state"], "login is refused" in wrong["errors"][0]) == ("failed", True)
    strange = copy(source.settings(ca=target.ca), target)
    assert strange["state"] == "away"
    assert "certificate" in strange["errors"][0].lower()


# -- deletion


def test_deletions_follow_for_what_was_brought_and_for_nothing_else(start, copy):
    source, target = start(), start()
    for number in range(20):
        source.image("app", f"v{number}", str(number).encode())
    source.image(
        "app", "v3-too", b"3", config={"architecture": "amd64", "os": "linux", "n": "appv3"}
    )  # the digest of v3
    target.image("app", "own", b"the target's own")
    assert copy(source, target, delete=True)["counts"]["copied"] == 21
    for tag in ("v3", "v4", "v5"):
        source.api().delete_tag("app", tag, lambda _: None)
    target.image("app", "v5", b"pushed at the target")
    dry = copy(source, target, delete=True, dry=True)
    assert dry["would"] == ["delete app:v3", "delete app:v4"]
    assert "v3" in target.tags("app")
    ended = copy(source, target, delete=True)
    assert (ended["state"], ended["counts"]["deleted"]) == ("ok", 2)
    assert any("app:v5: not deleted" in each for each in ended["notices"])
    left = {f"v{n}" for n in range(20)} - {"v3", "v4"} | {"v3-too", "own"}
    assert target.tags("app") == left
    target.whole("app", "v3-too")
    assert copy(source, target, delete=True)["counts"]["deleted"] == 0


def test_an_empty_source_does_not_empty_the_target(start, copy):
    source, target, empty = start(), start(), start()
    for number in range(5):
        source.image("app", f"v{number}", str(number).encode())
    copy(source, target, delete=True)
    before = target.everything()
    moved = source.settings(connect=f"127.0.0.1:{empty.port}")  # the same name, another store
    ended = copy(moved, target, delete=True)
    assert ended["state"] == "failed"
    assert "5 of the 5 tags" in ended["errors"][0]
    assert target.everything() == before
    assert copy(moved, target, delete=True, max_delete=5)["counts"]["deleted"] == 5


@pytest.mark.parametrize("what", ["stopped", "half"])
def test_a_source_that_is_away_deletes_nothing(start, copy, monkeypatch, what):
    monkeypatch.setattr(client, "TRIES", 2)
    source, target = start(), start()
    for number in range(5):
        source.image("app", f"v{number}", str(number).encode())
    copy(source, target, delete=True)
    before = target.everything()
    source.api().delete_tag("app", "v1", lambda _: None)
    if what == "stopped":
        source.process.kill()
        source.process.wait()
    else:  # one link that cannot be read: the registry answers 500 for that tag
        (link,) = source.data.glob("data/**/_manifests/tags/v2/current/link")
        link.write_text("")
    ended = copy(source, target, delete=True)
    assert ended["state"] == {"stopped": "away", "half": "failed"}[what]
    assert target.everything() == before


@pytest.mark.usefixtures("forbids_deletion")
def test_a_registry_that_forbids_deletion_says_so(start, copy):
    source, target = start(), start(delete=False)
    source.image("app", "v1", b"1")
    source.image("app", "v2", b"2")
    copy(source, target, delete=True)
    source.api().delete_tag("app", "v1", lambda _: None)
    ended = copy(source, target, delete=True)
    assert "deletion is off" in ended["errors"][0]
    assert target.tags("app") == {"v1", "v2"}


@pytest.mark.usefixtures("version_2")
def test_a_deletion_that_was_killed_in_the_middle_is_finished(start, copy, monkeypatch):
    source, target = start(), start()
    source.image("app", "v1", b"1")
    source.image("app", "v2", b"2")
    copy(source, target, delete=True)
    source.api().delete_tag("app", "v1", lambda _: None)

    def killed(*_):
        raise engine.Problem("killed")

    with monkeypatch.context() as patch:
        patch.setattr(engine.Registry, "delete_manifest", killed)
        assert copy(source, target, delete=True)["state"] == "failed"
    assert target.tags("app") == {"v1", "v2"}  # v1 is an empty index now
    assert copy(source, target, delete=True)["counts"]["deleted"] == 1
    assert target.tags("app") == {"v2"}


@pytest.mark.usefixtures("version_2")
def test_what_is_pushed_while_a_deletion_is_tried_again_stays(start, copy, monkeypatch):
    source, target = start(), start()
    source.image("app", "v1", b"1")
    copy(source, target, delete=True)
    source.api().delete_tag("app", "v1", lambda _: None)
    new = []

    def failing(*_words):
        if not new:
            new.append(target.image("app", "v1", b"pushed meanwhile")["digest"])
        raise engine.Away("500")

    with monkeypatch.context() as patch:
        patch.setattr(engine.Registry, "delete_manifest", failing)
        assert copy(source, target, delete=True)["state"] == "failed"
    assert target.digest("app", "v1") == new[0]


@pytest.mark.parametrize("by", ["delete", "copies"])
@pytest.mark.parametrize("follow", [False, True])
def test_a_tag_whose_deletion_was_interrupted_is_no_image(start, copy, by, follow):
    source, target = start(), start()
    source.image("app", "v1", b"1")
    digest = source.image("app", "v2", b"2")["digest"]
    copy(source, target, delete=follow)
    empty = deletion.empty_index(digest) if by == "delete" else engine.empty_index()
    source.put("app", "v2", json.loads(empty))
    ended = copy(source, target, delete=follow)
    assert ended["state"] == "ok", ended
    assert "its image is gone" in ended["notices"][0]
    assert target.api().digest("app", "v2") == digest
    source.api().delete_manifest("app", source.api().digest("app", "v2"))
    copy(source, target, delete=follow)
    assert target.tags("app") == ({"v1"} if follow else {"v1", "v2"})


@pytest.mark.parametrize("between", ["interrupted deletion", "failed copy"])
def test_what_was_there_before_is_not_deleted_for_a_copy_that_failed(
    start, copy, monkeypatch, between
):
    """The ledger has what both had, and what was to be put over it and was not."""
    source, target = start(), start()
    for place in (source, target):
        own = place.image("app", "v1", b"1")["digest"]
    for number in range(9):  # more than max_delete would keep from being deleted
        source.image("app", f"other-{number}", b"2")
    assert copy(source, target, delete=True)["counts"]["same"] == 1
    if between == "interrupted deletion":
        source.put("app", "v1", json.loads(deletion.empty_index(own)))
        copy(source, target, delete=True)
    else:
        source.image("app", "v1", b"pushed anew")
        with monkeypatch.context() as patch:
            patch.setattr(copier, "MOST_DEPTH", -1)
            assert copy(source, target, delete=True)["state"] == "failed"
    source.api().delete_tag("app", "v1", lambda _digest: None)
    ended = copy(source, target, delete=True)
    assert (ended["state"], ended["counts"]["deleted"]) == ("ok", 0)
    assert target.digest("app", "v1") == own


def test_what_a_restored_source_has_lost_is_fetched_from_its_copy(start, copy, tmp_path):
    """As docs/how-to/disaster-drill.md says it: otherwise the next copy takes it from that, too."""
    source, target = start(), start()
    for number in range(9):
        source.image("app", f"{number}", b"%d" % number)
    old = source.digest("app", "0")
    copy(source, target, delete=True)
    source.image("app", "0", b"pushed anew after the backup")
    source.image("app", "new", b"pushed after the backup")
    copy(source, target, delete=True)
    newest = target.everything()
    source.api().put_manifest("app", "0", *source.api().manifest("app", old))  # the restore
    source.api().delete_tag("app", "new", lambda _digest: None)
    back = copy(target, source, ledger=str(tmp_path / "back"), lock=str(tmp_path / "back.lock"))
    assert (back["state"], back["counts"]["copied"]) == ("ok", 2)
    ended = copy(source, target, delete=True)
    assert (ended["counts"]["copied"], ended["counts"]["deleted"]) == (0, 0)
    assert target.everything() == source.everything() == newest


# -- conflicts


@pytest.mark.parametrize(("conflict", "wins"), [("overwrite", "source"), ("keep", "target")])
def test_a_name_that_the_target_uses_otherwise(start, copy, conflict, wins):
    source, target = start(), start()
    source.image("app", "v1", b"source")
    theirs = target.image("app", "v1", b"target")["digest"]
    ended = copy(source, target, conflict=conflict)
    expected = {"source": source.digest("app", "v1"), "target": theirs}[wins]
    assert target.digest("app", "v1") == expected
    assert ended["counts"]["kept"] == (conflict == "keep")
    source.image("app", "v2", b"first")
    copy(source, target, conflict=conflict)
    source.image("app", "v2", b"second")  # the tag moves, and the target's is still ours
    copy(source, target, conflict=conflict)
    assert target.digest("app", "v2") == source.digest("app", "v2")


def test_two_registries_that_copy_each_other_agree(start, settings, tmp_path):
    one, two = start(), start()

    def both():
        for number, (source, target) in enumerate(((one, two), (two, one))):
            ended = engine.Run(
                settings(
                    source,
                    target,
                    conflict=("overwrite", "keep")[number],
                    two_way=True,
                    ledger=str(tmp_path / f"ledger{number}"),
                )
            ).run()
            assert ended["errors"] == []

    one.image("app", "a", b"a")
    two.image("app", "b", b"b")
    both()
    assert one.everything() == two.everything()
    assert one.tags("app") == {"a", "b"}
    moved = two.image("app", "a", b"moved at two")["digest"]
    both()
    assert one.digest("app", "a") == two.digest("app", "a") == moved
    wins = one.image("app", "a", b"moved at one")["digest"]
    two.image("app", "a", b"and at two at once")
    both()
    assert one.digest("app", "a") == two.digest("app", "a") == wins


# -- faults


def test_a_cut_download_goes_on_where_it_was(start, copy):
    source, target = start(), start()
    source.image("big", "1", os.urandom(4_000_000))
    line = Line(source.port, [0, 0, 0, 1_500_000, 1_000_000, 900_000])
    ended = copy(source.settings(connect=f"127.0.0.1:{line.port}"), target, parallel=1)
    line.close()
    assert ended["errors"] == []
    assert target.digest("big", "1") == source.digest("big", "1")
    target.whole("big", "1")


def test_a_cut_upload_is_begun_again(start, copy, monkeypatch):
    source, target = start(), start()
    source.image("big", "1", os.urandom(4_000_000))
    real, calls = engine.Registry._dial, []

    def dial(self, netloc, context):
        made = real(self, netloc, context)
        if self.name == "cut" and len(calls) < 2:
            calls.append(1)
            send, left = made.sendall, [1_000_000]

            class Cut:
                def __getattr__(self, name):
                    return getattr(made, name)

                def sendall(self, content):
                    left[0] -= len(content)
                    if left[0] < 0:
                        made.shutdown(2)
                        raise ConnectionResetError("cut")
                    send(content)

            return Cut()
        return made

    monkeypatch.setattr(engine.Registry, "_dial", dial)
    ended = copy(source, target.settings(name="cut"))
    assert (ended["errors"], len(calls)) == ([], 2)
    target.whole("big", "1")


def test_a_killed_run_goes_on_where_it_was(start, settings, program, tmp_path):
    source, target = start(), start()
    for number in range(40):
        source.image("app", f"v{number}", os.urandom(50_000))
    chosen = settings(source, target, delete=True, parallel=2)
    (tmp_path / "settings.json").write_text(json.dumps(chosen))
    command = [sys.executable, "-I", program, str(tmp_path / "settings.json")]
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while process.poll() is None and len(target.tags("app")) < 10:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    there = len(target.tags("app"))
    assert there >= 10
    ended = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert ended["state"] == "ok"
    assert ended["counts"]["copied"] <= 40 - there + 2  # those under way may be put twice
    assert target.everything() == source.everything()
    # What the killed run brought is in the ledger: deletions follow for it too.
    for tag in list(target.tags("app"))[:3]:
        source.api().delete_tag("app", tag, lambda _: None)
    ended = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert ended["counts"]["deleted"] == 3


def test_a_target_that_is_read_only_for_a_while(start, settings):
    """As during a collection: pushes get 405, and the copy tries again."""
    source, ready = start(), start()
    ready.process.kill()
    ready.process.wait()
    source.image("app", "v1", b"1")
    closed = {"maintenance": {"readonly": {"enabled": True}}, "delete": {"enabled": True},
              "filesystem": {"rootdirectory": str(ready.data / "data")}}  # fmt: skip
    shut = start(at=ready.data, port=ready.port, storage=closed)
    run = engine.Run(settings(source, shut))
    retry = run.clock.pause

    def reopen(seconds):
        if shut.process.poll() is None:
            shut.process.kill()
            shut.process.wait()
            start(at=ready.data, port=ready.port)
        retry(seconds)

    run.clock.pause = reopen
    ended = run.run()
    assert (ended["errors"], ended["counts"]["copied"]) == ([], 1)
    assert ready.digest("app", "v1") == source.digest("app", "v1")
    shut = start(storage=closed | {"filesystem": {"rootdirectory": str(ready.data / "other")}})
    assert "takes no pushes" in engine.Run(settings(source, shut)).run()["errors"][0]


def test_two_runs_exclude_each_other(start, copy, tmp_path):
    source, target = start(), start()
    held = engine.take_lock(str(tmp_path / "lock"))
    assert copy(source, target)["state"] == "busy"
    assert not (tmp_path / "record.json").exists()
    os.close(held)
    assert copy(source, target)["state"] == "ok"


def test_a_run_ends_at_its_deadline_and_says_so(start, copy, tmp_path):
    source, target = start(), start()
    source.image("app", "v1", b"1")
    copy(source, target)
    complete = json.loads((tmp_path / "record.json").read_text())["complete"]
    source.image("app", "v2", b"2")
    os.kill(source.process.pid, signal.SIGSTOP)  # it takes connections and never answers
    try:
        ended = copy(source, target, deadline=2)
    finally:
        os.kill(source.process.pid, signal.SIGCONT)
    assert ended["state"] == "deadline"
    record = json.loads((tmp_path / "record.json").read_text())
    assert (record["state"], record["complete"]) == ("deadline", complete)
    assert copy(source, target)["counts"]["copied"] == 1


def test_a_ledger_of_another_source_is_not_used(start, copy, tmp_path):
    one, two, target = start(), start(), start()
    one.image("app", "v1", b"1")
    copy(one, target, delete=True)
    two.image("app", "v2", b"2")
    ended = copy(two, target, delete=True, max_delete=100)
    assert (ended["state"], ended["counts"]["deleted"]) == ("ok", 0)
    assert (tmp_path / "ledger.old").exists()


def test_requests_processor_and_memory_for_many_tags(start, settings, program, tmp_path):
    """Two requests a tag, and less than 40 MB, also for 20,000 (REGFLEET_MANY_TAGS)."""
    source, target = start(), start()
    digest = source.image("many", "t0", b"1")["digest"]
    assert engine.Run(settings(source, target)).run()["counts"]["copied"] == 1
    count = int(os.environ.get("REGFLEET_MANY_TAGS", "400"))
    below = "data/docker/registry/v2/repositories/many/_manifests/tags"
    for place in (source, target):
        for number in range(1, count):  # as the registry stores a tag
            for directory in ("current", f"index/sha256/{digest[7:]}"):
                link = place.data / below / f"t{number}" / directory
                link.mkdir(parents=True)
                (link / "link").write_text(digest)
    (tmp_path / "settings.json").write_text(json.dumps(settings(source, target, deadline=900)))
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print(*[x for x in open('/proc/self/status') if 'VmHWM' in x], file=sys.stderr)"
    )
    command = [sys.executable, "-I", "-c", code, program, str(tmp_path / "settings.json")]
    ran = subprocess.run(command, capture_output=True, check=True, text=True)
    ended = json.loads(ran.stdout)
    assert ended["counts"]["same"] == count
    assert sum(ended["requests"].values()) <= 2 * count + 2 + 2 * (count // 1000 + 2)
    assert int(ran.stderr.split()[1]) < 40_000  # KiB


@pytest.mark.parametrize("version", ["3.6", "3.7", "3.8", "3.13"])
def test_it_runs_by_other_pythons(start, settings, program, tmp_path, version):
    """Those that this machine has; the oldest is the one that matters."""
    kept = Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python3")
    for found in filter(None, (shutil.which(f"python{version}"), *map(str, kept))):
        if not subprocess.run([found, "--version"], capture_output=True, check=False).returncode:
            break
    else:
        pytest.skip(f"no Python {version} here")
    source, target = start(tls=True, user=("a", "b")), start(tls=True)
    fill_kinds(source, "kinds/all")
    chosen = settings(source, target, delete=True)
    (tmp_path / "settings.json").write_text(json.dumps(chosen))
    command = [found, "-I", program, str(tmp_path / "settings.json")]
    for copied, deleted in ((22, 0), (0, 1)):
        ended = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        assert (ended["counts"]["copied"], ended["counts"]["deleted"]) == (copied, deleted)
        source.api().delete_tag("kinds/all", "large", lambda _: None)
    assert target.everything() == source.everything()


def test_a_host_says_how_far_its_run_is(pair, settings):
    """The whole program of a run on a host, but for the two seconds between lines."""
    source, target = pair
    source.image("far/app", "v1", b"far" * 1000)
    text = bundle.text().replace("\nEVERY = 2.0", "\nEVERY = 0.0")
    assert text != bundle.text()
    of_run = settings(source, target, repositories=["far/*"])
    program = now.render(of_run, "run-7", dry=False).replace(
        base64.b64encode(bundle.text().encode()).decode(),
        base64.b64encode(text.encode()).decode(),
    )
    done = subprocess.run(["sh", "-s"], input=program, capture_output=True, text=True, check=True)
    told = []
    Ear("run-7", told.append).hear(done.stdout.encode())
    assert told == [last := told[-1]]
    assert (last.work, last.done, last.of) == ("tags", 1, 1)
    assert last.size > 3000
    outcome = now.parse("north1", done.stdout.splitlines(), "run-7")
    assert outcome.ok
    assert outcome.counts["copied"] == 1
