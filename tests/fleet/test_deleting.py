"""`regfleet delete` on a registry of a fleet: shown, asked, done; other tags stay."""

import json

import pytest

from pushing import Pusher

FLEET = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
tls.source = "none"
[registry.locked]
hosts = [$reg1]
endpoint = "registry.test:5001"
image_archive = "$registry_tar"
storage = "/var/lib/locked"
tls.source = "none"
delete = false
"""


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("reg1=registry.test")


@pytest.fixture
def fleet(twin, write_fleet, regfleet):
    path = write_fleet(twin, FLEET)
    done = regfleet("apply", path, "--yes")
    assert done.returncode == 0, done.stderr
    return path


def test_delete(twin, fleet, regfleet):
    pusher = Pusher(f"{twin.hosts['reg1'].address}:5000")
    layer = b"one layer"
    first = pusher.image("team/app", "1.0", layers=[layer])
    for tag in ("stable", "latest"):
        document = json.loads(
            pusher.request(
                "GET",
                f"{pusher._base}/team/app/manifests/1.0",
                (200,),
                headers={"accept": first["mediaType"]},
            ).data
        )
        pusher.manifest("team/app", tag, document)

    def delete(*words, code=0):
        done = regfleet("delete", fleet, *words)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    # Shown, and nothing is done.
    shown = delete("main/team/app:1.0", "--dry-run").stdout
    assert "- main/team/app:1.0" in shown
    assert first["digest"] in shown
    assert "stays, by its other tags: latest, stable" in shown.replace(
        "stable, latest", "latest, stable"
    )
    assert pusher.tags("team/app") == ["1.0", "latest", "stable"]

    # Nobody can be asked.
    assert "give --yes" in delete("main/team/app:1.0", code=2).stderr
    assert pusher.tags("team/app") == ["1.0", "latest", "stable"]

    document = json.loads(delete("main/team/app:1.0", "--yes", "--json").stdout)
    (image,) = document["images"]
    assert (image["status"], image["digest"]) == ("deleted", first["digest"])
    assert sorted(image["other_tags"]) == ["latest", "stable"]
    assert image["bytes"] == len(layer) + 40
    assert pusher.tags("team/app") == ["latest", "stable"]
    assert pusher.pull("team/app", "latest") == 2

    # One that is not there does not keep the others from it.
    gone = delete("registry.test:5000/team/app:1.0", "main/team/app:stable", "--yes", code=1)
    assert "has no tag team/app:1.0" in gone.stdout
    assert pusher.tags("team/app") == ["latest"]

    refused = delete("locked/team/app:1", "--yes", code=2)
    assert "set `delete = true` in [registry.locked]" in refused.stderr

    delete(f"main/team/app@{first['digest']}", "--yes")
    assert pusher.tags("team/app") == []
