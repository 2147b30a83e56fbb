"""One tag goes and others of the same image stay, on a real registry that refuses it by name."""

import dataclasses
import hashlib
import json
import shutil

import pytest
import urllib3
from making import fleet as make_fleet
from making import registry as declared

import registry_3
from regfleet.errors import UsageError
from regfleet.fleet.registries import Tls
from regfleet.model.deletions import Deletion, ImageName
from regfleet.registry_api import answers, deletion
from regfleet.registry_api.errors import RegistryError
from regfleet.replication import engine
from regfleet.run import deletion as run_deletion
from regfleet.run.asking import Asking
from regfleet.run.deletion import named

INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture(scope="module")
def running(start_registry):
    return start_registry(tls=False, users=False)


@pytest.fixture
def client(running):
    with running.client() as made:
        yield made


def put(running, repository, tag, document):
    """A manifest under a tag, as it is."""
    with urllib3.PoolManager() as pool:
        url = f"http://{running.endpoint}/v2/{repository}/manifests/{tag}"
        content = json.dumps(document).encode()
        answer = pool.request("PUT", url, body=content, headers={"content-type": INDEX})
        assert answer.status == 201, answer.data
        return answer.headers["docker-content-digest"]


def index_of(client, repository, *digests):
    manifests = [client.manifest(repository, digest) for digest in digests]
    return {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [
            {"mediaType": each.media_type, "digest": each.digest, "size": each.size}
            for each in manifests
        ],
    }


def planned(client, repository, *references):
    """What is planned for tags and digests of one repository."""
    made = [
        Deletion(ImageName("main", repository, **{"digest" if ":" in each else "tag": each}))
        for each in references
    ]
    deletion.plan(client, repository, made)
    return made


def test_one_tag_goes_and_others_of_the_digest_stay(running, client):
    digest, _ = running.push("one", "1.0", "stable", "latest", content=b'{"one": 1}')
    (found,) = planned(client, "one", "1.0")
    assert (found.digest, found.tags, found.status) == (digest, ("1.0",), "planned")
    assert set(found.others) == {"stable", "latest"}
    assert found.size == len(b'{"one": 1}')
    deletion.delete(client, found)
    assert set(client.tags("one")) == {"stable", "latest"}
    assert client.digest("one", "stable") == client.digest("one", "latest") == digest
    assert client.manifest("one", digest).digest == digest
    # Of the index that took the tag's place nothing can be had.
    revisions = running.storage / "docker/registry/v2/repositories/one/_manifests/revisions/sha256"
    assert [each.parent.name for each in revisions.glob("*/link")] == [digest.partition(":")[2]]


def test_several_tags_of_one_digest(running, client):
    running.push("several", "a", "b", "c", content=b'{"several": 1}')
    first, second = planned(client, "several", "a", "b")
    assert (first.others, second.others) == (("c",), ("c",))
    for each in (first, second):
        deletion.delete(client, each)
    assert client.tags("several") == ("c",)


@pytest.mark.parametrize("step", ["put", "delete"])
@pytest.mark.usefixtures("version_2")
def test_an_interrupted_deletion_is_finished_by_the_next(running, client, monkeypatch, step):
    repository = f"cut-{step}"
    digest, _ = running.push(repository, "1", "2", content=step.encode())
    (found,) = planned(client, repository, "1")

    class Killed(BaseException):
        pass

    def killed(*_words):
        raise Killed

    with monkeypatch.context() as patch:
        # The client of the first run ends right before this request.
        patch.setattr(type(client), "put_manifest" if step == "put" else "delete", killed)
        if step == "delete":
            patch.setattr(deletion, "_NOWHERE", "")
            patch.setattr(
                type(client), "delete", lambda _c, _r, which: None if not which else killed()
            )
        with pytest.raises(Killed):
            deletion.delete(client, found)
    moved = client.digest(repository, "1") != digest
    assert moved == (step == "delete")
    (again,) = planned(client, repository, "1")
    assert again.unfinished == moved
    deletion.delete(client, again)
    assert client.tags(repository) == ("2",)
    assert client.digest(repository, "2") == digest


@pytest.mark.usefixtures("version_2")
def test_a_deletion_that_fails_gives_the_tag_back(running, client, monkeypatch):
    digest, _ = running.push("fails", "1", content=b'{"fails": 1}')
    (found,) = planned(client, "fails", "1")
    real = type(client).delete

    def refused(self, repository, which):
        if which == deletion._NOWHERE:
            return real(self, repository, which)
        raise RegistryError("protocol", "no")

    with monkeypatch.context() as patch:
        patch.setattr(type(client), "delete", refused)
        with pytest.raises(RegistryError):
            deletion.delete(client, found)
    assert client.digest("fails", "1") == digest


@pytest.mark.usefixtures("version_2")
def test_a_404_behind_a_failed_deletion_proves_nothing(running, client, monkeypatch):
    """The index was deleted and its tag was not, as when another request writes beside it."""
    digest, _ = running.push("torn", "1", content=b'{"torn": 1}')
    (found,) = planned(client, "torn", "1")
    tags = running.storage / "docker/registry/v2/repositories/torn/_manifests/tags"
    real = type(client).delete

    def torn(self, repository, which):
        link = tags / "1/current/link"
        text = link.read_text()
        done = real(self, repository, which)
        if which == deletion._NOWHERE:
            return done
        link.parent.mkdir(parents=True)
        link.write_text(text)
        revision = tags.parent / "revisions/sha256" / which.partition(":")[2]
        revision.mkdir(exist_ok=True)
        (revision / "link").write_text(which)
        return False

    with monkeypatch.context() as patch:
        patch.setattr(type(client), "delete", torn)
        with pytest.raises(RegistryError, match="did not delete the tag torn:1"):
            deletion.delete(client, found)
    assert client.digest("torn", "1") == digest  # which the next command deletes


def torn_tag(running, repository):
    """A tag of nothing: 2.8 ended between a manifest's deletion and its tags'."""
    running.push(repository, "1", content=b'{"torn": 1}')
    kept, _ = running.push(repository, "2", content=b'{"kept": 1}')
    manifests = running.storage / f"docker/registry/v2/repositories/{repository}/_manifests"
    for revision in (manifests / "revisions/sha256").iterdir():
        if revision.name not in kept:
            shutil.rmtree(revision)
    return kept


@pytest.mark.usefixtures("version_2")
def test_a_tag_that_leads_to_nothing_can_be_deleted(running, client):
    kept = torn_tag(running, "nothing")
    assert (set(client.tags("nothing")), client.digest("nothing", "1")) == ({"1", "2"}, None)
    (found,) = planned(client, "nothing", "1")
    assert (found.status, found.unfinished) == ("planned", True)
    deletion.delete(client, found)
    assert client.tags("nothing") == ("2",)
    assert client.digest("nothing", "2") == kept


@pytest.mark.usefixtures("version_2")
def test_a_tag_that_leads_to_nothing_is_not_deleted(running, client, monkeypatch):
    """The index is gone and the tag in the list: that is no success."""
    digest, _ = running.push("half", "1", content=b'{"half": 1}')
    (found,) = planned(client, "half", "1")
    manifests = running.storage / "docker/registry/v2/repositories/half/_manifests"
    real = type(client).delete

    def half(self, repository, which):
        if which != deletion._NOWHERE:
            shutil.rmtree(manifests / "revisions/sha256" / which.partition(":")[2])
        return real(self, repository, which)

    with monkeypatch.context() as patch:
        patch.setattr(type(client), "delete", half)
        with pytest.raises(RegistryError, match="did not delete the tag half:1"):
            deletion.delete(client, found)
    assert client.digest("half", "1") == digest


@pytest.mark.usefixtures("version_2")
def test_what_is_pushed_while_a_deletion_fails_stays(running, client, monkeypatch):
    running.push("pushed", "1", content=b'{"pushed": 1}')
    (found,) = planned(client, "pushed", "1")
    real, new = type(client).delete, []

    def refused(self, repository, which):
        if which == deletion._NOWHERE:
            return real(self, repository, which)
        new.append(running.push("pushed", "1", content=b'{"pushed": 2}')[0])
        raise RegistryError("protocol", "no")

    with monkeypatch.context() as patch:
        patch.setattr(type(client), "delete", refused)
        with pytest.raises(RegistryError):
            deletion.delete(client, found)
    assert [client.digest("pushed", "1")] == new


def test_a_tag_that_moved_since_the_plan_stays(running, client):
    running.push("moved", "1", content=b'{"moved": 1}')
    (found,) = planned(client, "moved", "1")
    digest, _ = running.push("moved", "1", content=b'{"moved": 2}')
    with pytest.raises(RegistryError, match="pushed anew"):
        deletion.delete(client, found)
    assert client.digest("moved", "1") == digest


def test_a_digest_goes_with_all_its_tags(running, client):
    digest, _ = running.push("whole", "1", "2", content=b'{"whole": 1}')
    other, _ = running.push("whole", "3", content=b'{"whole": 3}')
    (found,) = planned(client, "whole", digest)
    assert set(found.tags) == {"1", "2"}
    deletion.delete(client, found)
    assert client.tags("whole") == ("3",)
    assert client.digest("whole", digest) is None
    assert client.digest("whole", "3") == other


def test_a_part_of_an_index_with_a_tag_is_refused(running, client):
    child, _ = running.push("parts", "child", content=b'{"parts": 1}')
    put(running, "parts", "whole", index_of(client, "parts", child))
    (found,) = planned(client, "parts", child)
    assert found.status == "failed"
    assert "part of the index parts:whole" in found.error
    # Its tag may go: the index keeps it.
    (tag,) = planned(client, "parts", "child")
    deletion.delete(client, tag)
    assert client.manifest("parts", child).digest == child


def test_a_part_of_an_index_in_an_index_is_refused(running, client):
    running.push("nested", "child", content=b'{"nested": 1}')
    child = client.digest("nested", "child")
    inner = put(running, "nested", "inner", index_of(client, "nested", child))
    put(running, "nested", "outer", index_of(client, "nested", inner))
    for tag in ("inner", "child"):
        deletion.delete(client, *planned(client, "nested", tag))
    (found,) = planned(client, "nested", child)
    assert found.status == "failed"
    assert "part of the index nested:outer" in found.error


def test_signatures_stay_with_an_index_that_has_the_image(running, client):
    child, _ = running.push("multi", "1-amd64", content=b'{"multi": 1}')
    signature = f"sha256-{child.partition(':')[2]}.sig"
    running.push("multi", signature, content=b'{"signature": 1}')
    put(running, "multi", "1", index_of(client, "multi", child))
    (found,) = planned(client, "multi", "1-amd64")
    assert found.attached == ()
    deletion.delete(client, found)
    assert set(client.tags("multi")) == {"1", signature}
    running.push("multi", "1-amd64", content=b'{"multi": 1}')
    both = planned(client, "multi", "1-amd64", "1")
    assert [each.attached for each in both] == [(signature,), ()]


def test_of_an_index_that_stays_no_image_is_read(running, client, monkeypatch):
    """An index lists its images: whether one is among them it says itself."""
    first, _ = running.push("listed", "amd64", content=b'{"amd": 2}')
    second, _ = running.push("listed", "arm64", content=b'{"arm": 2}')
    put(running, "listed", "1.0", index_of(client, "listed", first, second))
    running.push("listed", f"sha256-{first.partition(':')[2]}.sig", content=b'{"signature": 3}')
    asked = []
    manifest = type(client).manifest
    monkeypatch.setattr(
        type(client),
        "manifest",
        lambda self, repository, reference: (
            asked.append(reference) or manifest(self, repository, reference)
        ),
    )
    (found,) = planned(client, "listed", "amd64")
    assert (found.status, found.attached) == ("planned", ())
    assert asked.count(first) == 1  # for its size


def test_signatures_stay_with_a_tag_that_came_since_the_plan(running, client):
    digest, _ = running.push("came", "1", content=b'{"came": 1}')
    signature = f"sha256-{digest.partition(':')[2]}.sig"
    running.push("came", signature, content=b'{"signature": 1}')
    asking = Asking({"main": Anybody()}, None)
    main = declared(endpoint=running.endpoint, tls=Tls("none"), hosts=())
    found = run_deletion.plan(make_fleet([main]), [ImageName("main", "came", "1")], asking)
    assert found.images[0].attached == (signature,)
    running.push("came", "stable", content=b'{"came": 1}')  # while somebody thinks it over
    list(run_deletion.delete(make_fleet([main]), found, asking))
    assert (found.images[0].status, found.images[0].attached) == ("deleted", ())
    assert set(client.tags("came")) == {"stable", signature}


def test_a_damaged_manifest_is_in_nobodys_way(running, client):
    """It can be deleted; and as nobody knows what it had, signatures that may be its own stay."""
    digest, _ = running.push("damaged", "1", content=b'{"whole": 1}')
    signature = f"sha256-{digest.partition(':')[2]}.sig"
    running.push("damaged", signature, content=b'{"signature": 1}')
    damaged, _ = running.push("damaged", "2", content=b'{"damaged": 1}')
    name = damaged.partition(":")[2]
    file = running.storage / f"docker/registry/v2/blobs/sha256/{name[:2]}/{name}/data"
    file.write_bytes(file.read_bytes().replace(b"layers", b"LAYERS"))
    (found,) = planned(client, "damaged", "1")
    assert (found.status, found.attached) == ("planned", ())
    (found,) = planned(client, "damaged", "2")
    assert (found.status, found.size) == ("planned", 0)
    deletion.delete(client, found)
    assert set(client.tags("damaged")) == {"1", signature}


def test_signatures_go_with_the_last_tag(running, client):
    digest, _ = running.push("signed", "1", "2", content=b'{"signed": 1}')
    signature = f"sha256-{digest.partition(':')[2]}.sig"
    running.push("signed", signature, content=b'{"signature": 1}')
    (found,) = planned(client, "signed", "1")
    assert found.attached == ()
    deletion.delete(client, found)
    (found,) = planned(client, "signed", "2")
    assert found.attached == (signature,)
    deletion.delete(client, found)
    assert client.tags("signed") == ()


def test_an_empty_index_of_somebody_else_is_an_image(running, client):
    digest = put(running, "empty", "1", {"schemaVersion": 2, "mediaType": INDEX, "manifests": []})
    (found,) = planned(client, "empty", "1")
    assert (found.unfinished, found.digest) == (False, digest)


def test_what_is_not_there(running, client):
    running.push("there", "1", content=b'{"there": 1}')
    nothing = f"sha256:{'1' * 64}"
    for found in planned(client, "there", "2", nothing):
        assert found.status == "failed"
        assert "has no" in found.error
    assert client.tags("there") == ("1",)


@pytest.mark.usefixtures("forbids_deletion")
def test_deletion_that_is_off_moves_no_tag(start_registry):
    off = start_registry(tls=False, users=False, delete=False)
    digest, _ = off.push("app", "1", content=b"{}")
    with off.client() as client:
        (found,) = planned(client, "app", "1")
        with pytest.raises(RegistryError) as caught:
            deletion.delete(client, found)
        assert caught.value.kind == "unsupported"
        assert client.digest("app", "1") == digest


def test_a_registry_that_is_read_only_says_so(start_registry):
    def render(storage, listen):
        filesystem = {"filesystem": {"rootdirectory": storage}, "delete": {"enabled": True}}
        read_only = {"maintenance": {"readonly": {"enabled": True}}}
        return json.dumps(
            {"version": "0.1", "storage": {**filesystem, **read_only}, "http": {"addr": listen}}
        )

    writing = start_registry(tls=False, users=False)
    digest, _ = writing.push("app", "1", content=b"{}")
    reading = start_registry(tls=False, users=False, render=render)
    shutil.copytree(writing.storage, reading.storage, dirs_exist_ok=True)
    with reading.client() as client:
        (found,) = planned(client, "app", "1")
        assert found.digest == digest
        with pytest.raises(RegistryError) as caught:
            deletion.delete(client, found)
        assert caught.value.kind == "read-only"
        assert "regfleet gc" in caught.value.hint


SUBJECTS = [
    (f"sha256-{'a' * 64}", f"sha256:{'a' * 64}"),
    (f"sha256-{'a' * 64}.sig", f"sha256:{'a' * 64}"),
    (f"sha256-{'a' * 64}.att", f"sha256:{'a' * 64}"),
    (f"sha256-{'a' * 63}.sig", None),
    (f"sha512-{'a' * 128}.sig", f"sha512:{'a' * 128}"),
    (f"sha512-{'a' * 64}", f"sha512:{'a' * 64}"),
    ("latest", None),
]


@pytest.mark.parametrize(("tag", "subject"), SUBJECTS)
def test_tags_of_signatures(tag, subject):
    assert deletion.subject_of(tag) == subject
    assert bool(engine.ATTACHED.fullmatch(tag)) == bool(subject)


@pytest.mark.usefixtures("version_2")
def test_a_damaged_repository_is_in_no_others_way(running):
    """An empty link, as a crash leaves it: the registry answers 500 for its repository."""
    digests = {name: running.push(name, "1", content=b"{}")[0] for name in ("bad", "good")}
    link = running.storage / "docker/registry/v2/repositories/bad/_manifests/tags/1/current/link"
    link.write_text("")
    asking = Asking({"main": Anybody()}, None)
    main = declared(endpoint=running.endpoint, tls=Tls("none"), hosts=())
    images = [ImageName("main", name, "1") for name in digests]
    found = run_deletion.plan(make_fleet([main]), images, asking)
    assert [each.unreadable for each in found.images] == [True, False]
    assert found.images[1].digest == digests["good"]
    for tag in "23":
        running.push("bad", tag, content=b'{"other": %d}' % int(tag))
    (link.parents[2] / "3/current/link").write_text("")
    fleet = make_fleet([main])
    three = run_deletion.plan(fleet, [ImageName("main", "bad", tag) for tag in "213"], asking)
    done = list(run_deletion.delete(fleet, three, asking))
    assert [each.error for each in done] == ["", "", ""]
    with running.client() as client:
        assert not client.tags("bad")


@pytest.mark.usefixtures("version_2")
def test_a_tag_that_the_registry_cannot_read_can_be_deleted(running, client):
    """An empty link again: `delete` began with a question that it could not answer."""
    kept, _ = running.push("unread", "kept", content=b'{"kept": 1}')
    signature = f"sha256-{kept.partition(':')[2]}.sig"
    running.push("unread", signature, content=b'{"signature": 1}')
    running.push("unread", "bad", content=b'{"bad": 1}')
    tags = running.storage / "docker/registry/v2/repositories/unread/_manifests/tags"
    (tags / "bad/current/link").write_text("")
    kept_tag, kept_digest = planned(client, "unread", "kept", kept)
    # What the bad one has is not known: an index of that image, for all that anybody knows.
    assert (kept_tag.status, kept_tag.attached, kept_tag.beside) == ("planned", (), ("bad",))
    assert (kept_digest.status, "cannot read" in kept_digest.error) == ("failed", True)
    with pytest.raises(RegistryError, match="cannot read unread:bad"):
        deletion.delete(client, kept_tag)
    assert client.digest("unread", "kept") == kept
    (found,) = planned(client, "unread", "bad")
    assert (found.status, found.unreadable, found.digest) == ("planned", True, "")
    deletion.delete(client, found)
    assert set(client.tags("unread")) == {"kept", signature}
    (found,) = planned(client, "unread", "kept")
    assert found.attached == (signature,)


def test_a_registry_that_limits_requests_is_no_registry_that_cannot_read(
    running, client, monkeypatch
):
    running.push("limited", "1", content=b"{}")

    def limited(*_words):
        raise answers.refusal(answers.Answer(429, {}, b""), "registry.test", "HEAD /", None)

    monkeypatch.setattr(type(client), "digest", limited)
    with pytest.raises(RegistryError, match="429"):
        planned(client, "limited", "1")


@pytest.mark.parametrize(
    ("status", "words", "broke"),
    [
        (500, "", True),
        (503, "the registry answered 500: its log says why", True),
        (503, "the registry behind the gateway does not answer: try again", False),
        (502, "", False),
    ],
)
def test_that_the_registry_itself_failed_is_seen_through_a_gateway(status, words, broke):
    body = json.dumps({"errors": [{"code": "UNAVAILABLE", "message": words}]}).encode()
    found = answers.refusal(answers.Answer(status, {}, body), "registry.test", "GET /", None)
    assert (found.kind, found.broke) == ("protocol", broke)


@pytest.mark.usefixtures("version_2")
def test_a_tag_that_can_be_read_again_since_the_plan_stays(running, client):
    running.push("mended", "1", content=b'{"mended": 1}')
    tags = running.storage / "docker/registry/v2/repositories/mended/_manifests/tags"
    (tags / "1/current/link").write_text("")
    (found,) = planned(client, "mended", "1")
    digest, _ = running.push("mended", "1", content=b'{"anew": 1}')
    with pytest.raises(RegistryError, match="can be read again"):
        deletion.delete(client, found)
    assert client.digest("mended", "1") == digest


class Anybody:
    """What is known of a registry without users."""

    def credentials(self):
        return None

    def trusted(self):
        return None


# ---- what the command line names ----

FLEET = make_fleet(
    [
        declared(),
        dataclasses.replace(declared("off", "off.example.com"), delete=False),
        dataclasses.replace(
            declared("hub", "hub.example.com"), proxy="https://registry-1.docker.io"
        ),
    ]
)
DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("main/app:1", ImageName("main", "app", "1")),
        ("reg.example.com:5000/team/app:1.0-rc1", ImageName("main", "team/app", "1.0-rc1")),
        (f"main/app@{DIGEST}", ImageName("main", "app", digest=DIGEST)),
    ],
)
def test_named(asked, expected):
    assert named(FLEET, [asked, asked]) == [expected]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("mian/app:1", "did you mean main?"),
        ("main/app", "the tag or the digest is missing"),
        ("main", "the tag or the digest is missing"),
        ("main/:1", "the tag or the digest is missing"),
        ("main/App:1", "cannot be a repository's name"),
        ("main/app:-1", "is no tag"),
        ("main/app@sha256:12", "is no digest"),
        ("off/app:1", "set `delete = true` in [registry.off]"),
        ("hub/library/busybox:1", "pull-through cache"),
    ],
)
def test_what_cannot_be_named(asked, words):
    with pytest.raises(UsageError) as caught:
        named(FLEET, [asked])
    assert words in str(caught.value)


def test_all_mistakes_are_told_at_once():
    with pytest.raises(UsageError) as caught:
        named(FLEET, ["mian/app:1", "main/app", "main/app:1"])
    assert str(caught.value).count("hint: ") == 2


# ---- version 3 ----


@pytest.fixture
def third(start_registry, tmp_path, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    return start_registry(tls=False, users=False, binary=registry_3.program(tmp_path))


def test_version_3_deletes_a_tag_by_its_name(third):
    digest, _ = third.push("one", "1.0", "stable", content=b'{"one": 1}')
    with third.client() as client:
        (found,) = planned(client, "one", "1.0")
        deletion.delete(client, found)
        assert client.tags("one") == ("stable",)
        assert client.digest("one", "stable") == digest


def test_version_3_deletes_a_tag_of_schema_1(third):
    """It answers 500 for it, and `gc` says that it is to be deleted."""
    kept, _ = third.push("old", "kept", content=b'{"kept": 1}')
    content = json.dumps({"schemaVersion": 1, "name": "old", "tag": "1", "fsLayers": []}).encode()
    name = hashlib.sha256(content).hexdigest()
    root = third.storage / "docker/registry/v2"
    blob = root / f"blobs/sha256/{name[:2]}/{name}/data"
    links = [
        root / f"repositories/old/_manifests/{each}/link"
        for each in (f"revisions/sha256/{name}", "tags/ancient/current")
    ]
    for file, text in ((blob, content), *((link, f"sha256:{name}".encode()) for link in links)):
        file.parent.mkdir(parents=True)
        file.write_bytes(text)
    with third.client() as client:
        found, kept_tag = planned(client, "old", "ancient", "kept")
        assert (found.unreadable, kept_tag.digest) == (True, kept)
        for each in (kept_tag, found):
            deletion.delete(client, each)
        assert client.tags("old") == ()
