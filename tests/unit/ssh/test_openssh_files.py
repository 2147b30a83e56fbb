"""Which configuration files OpenSSH reads, and whether their answers last."""

import pytest

from regfleet.ssh import openssh_files


@pytest.fixture(autouse=True)
def own_home(home, monkeypatch):
    monkeypatch.setattr(openssh_files, "own_home", lambda: home)


def read(home, text):
    (home / ".ssh" / "config").write_text(text)
    return openssh_files.read()


@pytest.mark.parametrize(
    ("text", "matters", "lasting"),
    [
        ("", False, True),
        ("# Port 2222\nHost *\n  SendEnv LANG LC_*\n  HashKnownHosts yes\n", False, True),
        ("Match exec true\n  SendEnv X\n", False, False),
        ("Host x\n  Port 2222\n", True, True),
        ("host=x\nPORT=2222\n", True, True),
        ("\tHostName\t= y\n", True, True),
        ("Match host x exec true\n  Port 1\n", True, False),
        ("Match !exec true\n  Port 1\n", True, False),
        ("Match localnetwork 192.0.2.0/24\n  Port 1\n", True, False),
        ("Match user executive\n  Port 1\n", True, False),  # asked once more than need be
        ("CanonicalizeHostname yes\n", True, False),
        ("IdentityFile ${HOME}/x\n", True, False),
        ("Include none-of-it\n", False, True),
        ("Include %h.conf\n", True, False),
        ('Include "unclosed\n', True, False),
        ("Include config\n", True, False),  # itself, without end
    ],
)
def test_what_may_send_hosts_elsewhere(home, text, matters, lasting):
    found = read(home, text)
    assert (found.matters, found.lasting) == (matters, lasting)


@pytest.mark.parametrize(
    "include", ["a b/one.conf", '"a b/one.conf"', "a\\ b/*.conf", "'{home}/.ssh/a b/on?.conf'"]
)
def test_included_files_count_wherever_they_are_named_and_quoted(home, include):
    (home / ".ssh" / "a b").mkdir()
    before = read(home, f"Include {include.format(home=home)} # why\n")
    (home / ".ssh" / "a b" / "one.conf").write_text("Port 22\n")
    after = openssh_files.read()
    found = include != "a b/one.conf"  # two names
    assert after.matters is found
    assert (after.digest != before.digest) is found
    (home / ".ssh" / "a b" / "one.conf").write_text("Port 23\n")
    assert (openssh_files.read().digest != after.digest) is found


def test_the_systems_file_counts(home, tmp_path, monkeypatch):
    monkeypatch.setattr(openssh_files, "SYSTEM", tmp_path / "ssh_config")
    (tmp_path / "ssh_config").write_text("Include ssh_config.d/*.conf\n")
    assert not read(home, "").matters
    (tmp_path / "ssh_config.d").mkdir()
    (tmp_path / "ssh_config.d" / "50-site.conf").write_text("Match final all\n  ProxyJump x\n")
    assert openssh_files.read().matters
