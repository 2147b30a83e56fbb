"""What a collection leaves when it is killed, as its other half and the look find it.

Everything is made by a collection's own functions and read by theirs: paths and names that both
have to agree on stand in several files.
"""

import os
import time

import pytest
import shells
from made_store import Store
from making import material, registry

from regfleet import shell as programs
from regfleet.jobs.collection import Collection, Subject
from regfleet.runtimes import configuration
from regfleet.touch.protocol import program

EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())


@pytest.fixture
def moved(tmp_path):
    """A program's text with a host's directories below the test's own."""

    def move(text):
        for place in ("/var/lib/regfleet", "/run/regfleet", "/var/run/regfleet"):
            text = text.replace(place, f"{tmp_path}{place}")
        return text.replace(f"/var{tmp_path}", f"{tmp_path}/var")

    for place in ("var/lib/regfleet", "run/regfleet"):
        (tmp_path / place).mkdir(parents=True)
    return move


@pytest.fixture
def killed(shell, moved, tmp_path):
    """A storage whose collection was killed after it had deleted, and the blob that went."""
    store = Store(tmp_path / "storage")
    store.image("app", "kept", "1")
    gone = store.blob(b"garbage")
    config = tmp_path / "config.yml"
    config.write_text(configuration.render(registry(), material(), "/etc"))
    collects = tmp_path / "registry"
    collects.write_text(
        "#!/bin/sh\n"
        f"if [ \"$1\" = --dry-run ]; then echo 'blob eligible for deletion: {gone}'; exit; fi\n"
        f"rm -r {store.path(gone).parent}\n"
    )
    collects.chmod(0o755)
    its = Subject("regfleet-main", "made", "", "http:/v2/", str(config), str(store.place),
                  (str(collects),), "/inside")  # fmt: skip
    calls = "\n".join(" ".join(f"'{word}'" for word in call) for call in [its.about()])
    text = f"""
{program("docker")}
{Collection((its,)).functions()}
made_ours() {{ :; }}
made_restarts() {{ echo ': restarted >{tmp_path}/restarted'; }}
made_process() {{ echo 1; }}
mount() {{ :; }}
answering() {{ :; }}
collection_watched() {{ :; }}
collection_asks() {{ if [ "$1" = HEAD ]; then code=200; else code=405; fi; }}
{calls.replace(" 'garbage-collect'", "")}
collection_look 1440 1 && collection_begin && collection_collect 1440
echo "failed: $failed"
"""
    said = shells.run(shell, moved(text), TMPDIR=str(tmp_path)).stdout.decode()
    assert said.splitlines()[-1] == "failed: ", said
    assert not store.path(gone).exists()
    (tmp_path / "restarted").unlink()  # when it became read-only
    return store, gone


@EVERY_SHELL
def test_what_was_deleted_comes_back_before_anything_else_is_done(killed, shell, moved, tmp_path):
    store, gone = killed
    for each in tmp_path.glob("run/regfleet/read-only-*"):  # it was killed days ago
        os.utime(each, (time.time() - 3 * 86400,) * 2)
    calls = 'keep_answer run-1\nend_collections\necho "failed: $failed"\n'
    text = f"{program('docker')}\n{calls}"
    said = shells.run(shell, moved(text)).stdout.decode().splitlines()
    assert said == [
        "@note a collection of regfleet-main was interrupted; it is ended first",
        "failed: ",
    ]
    assert store.path(gone).read_bytes() == b"garbage"
    assert (tmp_path / "restarted").exists()
    left = [*(tmp_path / "var/lib/regfleet").glob("collecting*"), *tmp_path.glob("run/*/read-*")]
    assert left == []
    assert [each.name for each in store.root.parent.iterdir()] == ["v2"]


@EVERY_SHELL
@pytest.mark.usefixtures("killed")
def test_the_look_sees_it(shell, moved):
    timers = programs.text("regfleet.look", "timers.sh")
    looks = programs.text("regfleet.look", "look.sh")
    unfinished = looks[looks.index("is_unfinished() {") :].partition("\n}\n")[0] + "\n}\n"
    text = f'say() {{ echo "@$*"; }}\n{timers}\n{unfinished}\n'
    text += "look_read_only\nif is_unfinished; then say pending; fi\n"
    assert shells.lines(shell, moved(text)) == ["@read-only regfleet-main", "@pending"]
