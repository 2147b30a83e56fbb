"""Variables that a service script exports: what is read, written and given back to the byte."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from merging import there_and_back

from regfleet.documents import exports
from regfleet.documents.interface import NotReadableError, path
from regfleet.documents.merge import merge
from regfleet.model.desired import WantedSettings

DEBIAN = """\
# Docker SysVinit configuration file
# Use DOCKER_OPTS to modify the daemon startup options.
#DOCKER_OPTS="--dns 8.8.8.8 --dns 8.8.4.4"
# If you need Docker to use an HTTP proxy, it can also be specified here.
#export http_proxy="http://127.0.0.1:3128/"
export TMP=/var/tmp
"""
URL = "http://me:p%40ss@proxy.lan:3128"


def wanted(**values):
    return WantedSettings({}, {path(name): value for name, value in values.items()})


def test_the_line_is_what_sh_exports(tmp_path):
    after = merge(exports.parse(DEBIAN), wanted(HTTPS_PROXY=URL), {}, {}).after
    assert after.text() == f'{DEBIAN}export HTTPS_PROXY="{URL}"\n'
    file = tmp_path / "docker"
    file.write_text(after.text())
    said = subprocess.run(
        ["sh", "-c", f". {file}; env"], capture_output=True, text=True, check=True
    )
    assert f"HTTPS_PROXY={URL}" in said.stdout.splitlines()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("HTTPS_PROXY=http://old\n", 'export HTTPS_PROXY="http://new"\n'),
        ("a=b\nexport HTTPS_PROXY='http://old'\nc=d", 'a=b\nexport HTTPS_PROXY="http://new"\nc=d'),
        ("# HTTPS_PROXY=x", '# HTTPS_PROXY=x\nexport HTTPS_PROXY="http://new"'),
    ],
)
def test_one_that_is_set_is_replaced(before, after):
    document = exports.parse(before)
    document[path("HTTPS_PROXY")] = "http://new"
    assert document.text() == after


@pytest.mark.parametrize(
    "text",
    [
        "HTTPS_PROXY=a\nHTTPS_PROXY=b\n",
        "if true; then HTTPS_PROXY=a; fi\n",
        'HTTPS_PROXY="$OTHER"\n',
        'export A=b HTTPS_PROXY="a"\n',
        "HTTPS_PROXY+=a\n",
    ],
)
def test_what_cannot_be_replaced_is_refused(text):
    document = exports.parse(text)
    with pytest.raises(NotReadableError, match="HTTPS_PROXY cannot be set"):
        document[path("HTTPS_PROXY")] = "http://new"
    assert document.text() == text


@pytest.mark.parametrize("value", ['a"b', "a$b", "a`b", "a\\b", "a\nb"])
def test_what_sh_would_read_otherwise_is_refused(value):
    with pytest.raises(NotReadableError):
        exports.parse("")[path("HTTPS_PROXY")] = value


LINES = st.lists(
    st.sampled_from(["# a", "", "A=b", "export C='d e'", "if x; then", "fi", "\tE=f", 'G="$H"'])
).map(lambda lines: "".join(f"{line}\n" for line in lines))


@given(
    LINES,
    st.dictionaries(
        st.sampled_from(["HTTP_PROXY", "NO_PROXY"]), st.sampled_from(["a", URL]), min_size=1
    ),
)
def test_merge_and_unmerge_give_every_byte_back(text, values):
    back = there_and_back(exports.parse(text), wanted(**values))
    assert back.text() == text
