"""When a collection of several hosts deletes, and what it says when it has to stop."""

import pytest
import shells

from regfleet.jobs.collection import Collection, Subject
from regfleet.touch.protocol import program

EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())
KEPT, NEW = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


@pytest.fixture
def deletes(shell, tmp_path):
    """`deletes(holding)`: what is said, and whether the registry's own program was called.

    `holding` is shell that fails where a host does not hold any more, each time that it is asked.
    """
    job = Collection((Subject("regfleet-main", "container", "", "", "", "", (), ""),))
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/eligible").write_text(f"{KEPT}\n")
    called = tmp_path / "collects"
    collects = tmp_path / "garbage-collect"
    collects.write_text(f"""#!/bin/sh
: >{called}
printf 'blob eligible for deletion: %s\\n' {KEPT} {NEW}
sleep 60
""")
    collects.chmod(0o755)

    def run(holding):
        text = f"""
{program("docker")}
{job.functions()}
lists={tmp_path}/lists collecting={tmp_path} service=regfleet-main inside=x
program={collects} meet={tmp_path}
collection_all_hold() {{ said='reg2 says holds since 11 seconds'; {holding}; }}
collection_deletes
"""
        return shells.lines(shell, text), called.exists()

    return run


@EVERY_SHELL
def test_not_where_a_host_does_not_hold_any_more(deletes):
    said, called = deletes("false")
    assert not called
    assert said[0].startswith(
        "@failed nothing was deleted, for regfleet-main may take pushes: reg2"
    )


@EVERY_SHELL
def test_what_was_pushed_meanwhile_is_named(deletes, tmp_path):
    said, called = deletes(f"[ ! -s {tmp_path}/lists/done ]")
    assert called
    assert said[0].startswith("@failed the collection was stopped, for regfleet-main may take")
    assert f"but not what was pushed meanwhile ({NEW})" in said[1]
    assert KEPT not in said[1]
