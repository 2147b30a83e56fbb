import pytest

from regfleet.rehearse.hosts import compare

BEFORE = """\
mode /etc\td 755 0:0 
mode /etc/passwd\tf 644 0:0 
file /etc/passwd\taa
mode /etc/link\tl 777 0:0 /target
container registry\tregistry:2
image busybox:latest\tsha256:1
mirror https://m.example/
setting debug\tfalse
"""  # noqa: W291 - as find prints it


def edited(*edits):
    text = BEFORE
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (BEFORE, ()),
        ("".join(reversed(BEFORE.splitlines(keepends=True))), ()),
        (BEFORE + "mode /etc/docker\td 755 0:0 \n", ("left: /etc/docker",)),
        (BEFORE + "mode /etc/x\tf 644 0:0 \nfile /etc/x\tbb\n", ("left: /etc/x",)),
        (edited(("passwd\taa", "passwd\tbb")), ("changed: /etc/passwd",)),
        (edited(("passwd\tf 644", "passwd\tf 600")), ("changed: /etc/passwd",)),
        (edited(("passwd\tf 644 0:0", "passwd\tf 644 0:5")), ("changed: /etc/passwd",)),
        (edited(("/target", "/elsewhere")), ("changed: /etc/link",)),
        (edited(("container registry\tregistry:2\n", "")), ("gone: container registry",)),
        (edited(("sha256:1", "sha256:2")), ("changed: image busybox:latest",)),
        (edited(("mirror https://m.example/\n", "")), ("gone: mirror https://m.example/",)),
        (BEFORE + "insecure plain:5000\n", ("left: insecure plain:5000",)),
        (edited(("debug\tfalse", "debug\ttrue")), ("changed: setting debug",)),
    ],
)
def test_whatever_is_otherwise_is_seen(after, found):
    assert compare(BEFORE, after) == found


def test_what_an_installed_engine_brings_is_its_own():
    brought = BEFORE + "".join(
        f"mode {path}\tf 644 0:0 \n"
        for path in ("/etc/docker", "/etc/docker/key.json", "/etc/init.d/docker")
    )
    ours = brought + "mode /etc/docker/certs.d/r:5000\td 755 0:0 \n"
    assert compare(BEFORE, brought, installed=True) == ()
    assert compare(BEFORE, ours, installed=True) == ("left: /etc/docker/certs.d/r:5000",)
