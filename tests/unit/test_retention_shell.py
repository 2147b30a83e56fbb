"""When tags were pushed, as a host reads it from a storage; deletions that were interrupted."""

import hashlib
import json
import os
import shutil
import time

import pytest
from shells import parameters, run

from regfleet.errors import HostError
from regfleet.fleet.registries import Retention, Rule
from regfleet.registry_api import deletion
from regfleet.replication import engine
from regfleet.retention import deployed, pushed
from regfleet.retention.decide import Deployed, doomed

AT = 1_700_000_000


def tag(root, name, document, at):
    content = json.dumps(document).encode()
    digest = hashlib.sha256(content).hexdigest()
    blob = root / "blobs/sha256" / digest[:2] / digest
    manifests = root / "repositories/app/_manifests"
    link = manifests / "tags" / name / "current/link"
    own = manifests / "revisions/sha256" / digest / "link"
    its = f"sha256:{digest}".encode()
    for place, text in ((blob / "data", content), (link, its), (own, its)):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text)
    os.utime(link, (at, at))
    return blob / "data", own


def tags_of(shell, storage, now):
    said = run(shell, pushed.render(str(storage), "m"), TMPDIR=str(storage)).stdout.decode()
    at = next(line for line in said.splitlines() if line.startswith("@now "))
    assert abs(int(at[5:]) - time.time()) < 3600
    assert not list(storage.glob("tmp.*"))
    said = said.replace(at, f"@now {now}")
    return pushed.parse("reg1", said.splitlines(), "m", now)


@pytest.mark.parametrize("shell", parameters())
@pytest.mark.parametrize(
    "empty",
    [deletion.empty_index(f"sha256:{'a1' * 32}"), engine.empty_index()],
    ids=["delete", "copies"],
)
def test_an_interrupted_deletion_takes_nobodys_place(shell, empty, tmp_path):
    root = tmp_path / "docker/registry/v2"
    for number in range(3):
        tag(root, f"{number}", {"schemaVersion": 2, "number": number}, AT + number)
    tag(root, "gone", json.loads(empty), AT + 1000)
    tags = tags_of(shell, tmp_path, AT + 2000)
    assert [(each.name, each.at - AT, each.unfinished) for each in tags] == [
        ("0", 0, False),
        ("1", 1, False),
        ("2", 2, False),
        ("gone", 1000, True),
    ]
    rules = Retention((Rule(("app",), keep_last=2),))
    going, _ = doomed(rules, tags, Deployed(), AT + 2000)
    assert [each.tag.name for each in going] == ["0", "gone"]
    assert going[1].reason == "an earlier deletion of it was interrupted"


@pytest.mark.parametrize("shell", parameters())
@pytest.mark.parametrize("lost", [0, 1], ids=["blob", "link"])
def test_a_tag_of_nothing_takes_nobodys_place(shell, lost, tmp_path):
    """As 2.8 leaves it, when it ends between a manifest's deletion and its tags'."""
    root = tmp_path / "docker/registry/v2"
    for number in range(3):
        tag(root, f"{number}", {"schemaVersion": 2, "number": number}, AT + number)
    tag(root, "gone", {"schemaVersion": 2, "gone": 1}, AT + 1000)[lost].unlink()
    tag(root, "empty", {"schemaVersion": 2, "empty": 1}, AT + 1000)[lost].write_bytes(b"")
    tags = tags_of(shell, tmp_path, AT + 2000)
    assert [each.name for each in tags if each.torn] == ["empty", "gone"]
    rules = Retention((Rule(("app",), keep_last=2),))
    going, _ = doomed(rules, tags, Deployed(), AT + 2000)
    assert [each.tag.name for each in going] == ["0"]


@pytest.mark.parametrize("shell", parameters())
def test_a_registry_that_nothing_was_pushed_to_has_no_tags(shell, tmp_path):
    assert tags_of(shell, tmp_path, AT) == []


DIGEST = f"sha256:{'a1' * 32}"
NAMELESS = f"sha256:{'b2' * 32}"  # a container still runs it; its tag was pulled anew
# As containers/storage writes it.
KEPT = json.dumps(
    [
        {
            "id": "1f",
            "digest": DIGEST,
            "names": ["r.lan:5000/app:1", f"r.lan:5000/app@{DIGEST}", "r.lan:5000/team/x:2"],
            "names-history": ["r.lan:5000/old:1"],
            "metadata": "{}",
            "big-data-digests": {"manifest": DIGEST},
        },
        {
            "id": "2f",
            "digest": NAMELESS,
            "layer": "3f",
            "metadata": '{"names":["r.lan:5000/no:1"]}',
        },
    ],
    separators=(",", ":"),
)


def held_by_ops(shell, printed):
    """What the program says where root's Podman holds nothing, and ops has printed that."""
    program = deployed.render("podman", "m", accounts=("ops",))
    stand_ins = "podman() { :; }\nfind_account() { :; }\n"
    stand_ins += f"as_account() {{ cat <<'EOF'\n{printed}\nEOF\n}}\n"
    said = run(shell, program.replace("\nengine=podman", f"\n{stand_ins}engine=podman"))
    return deployed.parse("web1", said.stdout.decode().splitlines(), "m", ["r.lan:5000"])


@pytest.mark.parametrize("shell", parameters())
def test_what_podman_holds_of_an_account(shell):
    names, digests = held_by_ops(shell, f"{KEPT}\n@ended")
    assert names == {"app:1", "team/x:2"}
    assert digests == {DIGEST, NAMELESS}
    assert held_by_ops(shell, "\n@ended") == (frozenset(), frozenset())
    with pytest.raises(HostError, match="the images of ops cannot be read"):
        held_by_ops(shell, KEPT)


@pytest.mark.parametrize("shell", parameters())
def test_what_would_be_waited_for_is_not_read(shell, tmp_path):
    """What lies in a home is its account's to choose: a FIFO there must not hold up root."""
    place = tmp_path / ".local/share/containers/storage/overlay-images"
    place.mkdir(parents=True)
    os.mkfifo(place / "images.json")
    program = deployed.render("podman", "m", accounts=("ops",))
    stand_ins = "podman() { :; }\nfind_account() { :; }\n"
    stand_ins += f'as_account() {{ HOME={tmp_path} sh -c "$2"; }}\n'
    program = program.replace("\nengine=podman", f"\n{stand_ins}engine=podman")
    said = run(shell, program).stdout.decode().splitlines()
    with pytest.raises(HostError, match="the images of ops cannot be read"):
        deployed.parse("web1", said, "m", ["r.lan:5000"])
    (place / "images.json").unlink()
    (place / "images.json").write_text(KEPT)
    said = run(shell, program).stdout.decode().splitlines()
    assert deployed.parse("web1", said, "m", ["r.lan:5000"])[0] == {"app:1", "team/x:2"}


@pytest.mark.parametrize("shell", parameters())
def test_names_that_directories_of_a_registry_have_too(shell, tmp_path):
    root = tmp_path / "docker/registry/v2"
    for name in ("index", "revisions", "current"):
        _, own = tag(root, name, {"schemaVersion": 2, "name": name}, AT)
        # What the registry keeps of a tag besides where it leads to.
        earlier = root / f"repositories/app/_manifests/tags/{name}/index/sha256" / own.parent.name
        shutil.copytree(own.parent, earlier)
    for name in ("search/index", "revisions"):
        shutil.copytree(root / "repositories/app", root / "repositories" / name)
    found = [(each.repository, each.name) for each in tags_of(shell, tmp_path, AT + 1)]
    assert found == [
        (repository, name)
        for repository in ("app", "revisions", "search/index")
        for name in ("current", "index", "revisions")
    ]
