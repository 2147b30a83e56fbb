"""Files of an engine that reads them elsewhere than others."""

from making import container, desired, engine, observed

from regfleet.model.files import Directory, File
from regfleet.plan.diff import diff
from regfleet.plan.engine_parts import moved

SNAP = "/var/snap/docker/current/etc/docker"


def test_paths_below_a_place_are_moved_and_no_others():
    want = desired(
        directories=(Directory("/etc/docker", 0o755, ""), Directory("/etc/docker2", 0o755, "")),
        files=(
            File("/etc/docker/certs.d/[fd00::1]:5000/ca.crt", b"", 0o444, ""),
            File("/etc/regfleet/etc/docker/x", b"", 0o444, ""),
        ),
    )
    found = moved(want, {"/etc/docker": SNAP})
    assert [each.path for each in found.directories] == [SNAP, "/etc/docker2"]
    assert [each.path for each in found.files] == [
        f"{SNAP}/certs.d/[fd00::1]:5000/ca.crt",
        "/etc/regfleet/etc/docker/x",
    ]
    assert moved(want, {}) is want


def test_a_snap_gets_its_files_where_it_reads_them():
    ca = File("/etc/docker/certs.d/r:5000/ca.crt", b"x", 0o444, "client.build")
    want = desired(engine="docker", files=(ca,))
    plan = diff(want, observed(engine=engine(place=SNAP)), "")
    assert f"{SNAP}/certs.d/r:5000/ca.crt" in {each.resource.name for each in plan.changes}
    assert f'"{ca.path}' not in plan.record


def test_a_container_in_a_remapped_engine_keeps_the_hosts_users():
    want = desired(services=(container(),))
    for seen in (
        engine(remapped=True),
        engine("down", flags=("dockerd", "--userns-remap=default")),
    ):
        plan = diff(want, observed(engine=seen, images={"registry:2": "sha256:1"}), "")
        assert "--userns=host" in str(plan.steps)
    plan = diff(want, observed(engine=engine(), images={"registry:2": "sha256:1"}), "")
    assert "--userns=host" not in str(plan.steps)
