"""known_hosts as sshd(8) describes it, and which keys are taken."""

import shutil
import subprocess

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from making import host

from regfleet.ssh.host_certificates import CERTIFICATE
from regfleet.ssh.known_hosts import HostKeyPolicy, KnownHosts
from regfleet.ssh.way import way

OPENSSH = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
KEYS = [
    key.public_key().public_bytes(*OPENSSH).decode()
    for key in (
        Ed25519PrivateKey.generate(),
        Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256R1()),
    )
]
HOSTS = ["a.example", "192.0.2.1", "[a.example]:2222", "[2001:db8::1]:22", "b"]
STRANGE = [
    "", "# a.example " + KEYS[0], "a.example", "a.example ssh-ed25519",
    "a.example ssh-new AAAA",
]  # fmt: skip


def told(keys):
    """Keys by their types, as paramiko gives them: the first of each."""
    found = {}
    for key in keys:
        found.setdefault(key.get_name(), key.asbytes())
    return found


def paramikos(keys, name):
    found = keys.lookup(name) or {}
    return {kind: found[kind].asbytes() for kind in found.keys()}  # noqa: SIM118


def read(tmp_path, text):
    file = tmp_path / "known_hosts"
    file.write_text(text)
    return KnownHosts([file])


lines = st.one_of(
    st.builds(
        lambda names, key, hashed: (
            f"{','.join(map(paramiko.HostKeys.hash_host, names) if hashed else names)} {key} x"
        ),
        st.lists(st.sampled_from(HOSTS), min_size=1, max_size=3),
        st.sampled_from(KEYS),
        st.booleans(),
    ),
    st.sampled_from(STRANGE),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(lines, max_size=8))
def test_known_hosts_are_what_paramiko_finds_there(tmp_path, text):
    ours = read(tmp_path, "".join(f"{line}\n" for line in text))
    theirs = paramiko.HostKeys(str(tmp_path / "known_hosts"))
    for name in [*HOSTS, "nobody", "a.example:2222", "x.example"]:
        assert told(ours.keys(name)) == paramikos(theirs, name)


@pytest.mark.parametrize(
    "bad",
    [
        "a.example ssh-ed25519 %%%%",
        "|1|x|y ssh-ed25519 AAAA",
        "|1| a b",
        "@revoked c ssh-ed25519 A",
        "@revoked",
        "@cert-authority",
        "@nonsense b ssh-ed25519 AAAA",
    ],
)
def test_a_line_that_cannot_be_read_hides_no_other(tmp_path, bad):
    assert told(read(tmp_path, f"{bad}\nb {KEYS[0]}\n").keys("b"))


@pytest.mark.parametrize(
    ("names", "name", "meant"),
    [
        ("*", "a.example", True),
        ("*.example", "a.example", True),
        ("*.example", "example", False),
        ("a?example", "a.example", True),
        ("a.example", "A.Example", True),
        ("*.example,!a.example", "a.example", False),
        ("*.example,!a.example", "b.example", True),
        ("[a.example]:2222", "[a.example]:2222", True),
        ("[a.example]:2222", "a.example", False),
        pytest.param(paramiko.HostKeys.hash_host("a.example"), "a.example", True, id="hashed"),
        pytest.param(paramiko.HostKeys.hash_host("b.example"), "a.example", False, id="other"),
    ],
)
def test_patterns_mean_hosts_and_revoke_their_keys(tmp_path, names, name, meant):
    known = read(tmp_path, f"@revoked {names} {KEYS[0]}\n")
    assert bool(known.revoked(name)) is meant
    assert known.keys(name) == []
    if any(sign in names for sign in "*?!"):
        assert bool(read(tmp_path, f"{names} {KEYS[0]}\n").keys(name)) is meant


def policy_for(file, checking, port=22, **answer):
    place = host("a", host_key_checking=checking, known_hosts=file, port=port)
    return HostKeyPolicy(way(place, {name: (value,) for name, value in answer.items()}))


def key(number):
    return paramiko.hostkeys.HostKeyEntry.from_line(f"x {KEYS[number]}").key


@pytest.mark.parametrize(
    ("text", "checking", "refusal"),
    [
        ("a {0}", "strict", None),
        ("a {1}\na {0}", "strict", None),
        ("a {1}", "strict", "does not match"),
        ("a {2}", "strict", "does not match"),
        ("a {1}", "accept-new", "does not match"),
        ("a {1}", "off", None),
        ("", "strict", "No host key"),
        ("@cert-authority a {0}", "strict", "No host key"),
        ("A {0}", "strict", None),
        ("*,!a {0}", "strict", "No host key"),
        ("", "off", None),
        ("a {0}\n@revoked a {0}", "strict", "revoked"),
        ("a {0}\n@revoked * {0}", "accept-new", "revoked"),
        ("@revoked * {0}", "off", "revoked"),
        ("a {0}\n@revoked * {1}", "strict", None),
        ("a {0}\n@revoked b {0}", "strict", None),
    ],
)
def test_which_keys_are_taken(tmp_path, text, checking, refusal):
    file = tmp_path / "known_hosts"
    file.write_text(text.format(*KEYS))
    policy = policy_for(file, checking)
    if refusal is None:
        policy.missing_host_key(None, "", key(0))
    else:
        with pytest.raises(paramiko.SSHException, match=refusal):
            policy.missing_host_key(None, "", key(0))
    assert file.read_text() == text.format(*KEYS)


def test_a_new_key_is_kept_once_and_then_holds(tmp_path):
    file = tmp_path / "known_hosts"
    policy = policy_for(file, "accept-new", port=2222)
    for _ in range(2):
        policy.missing_host_key(None, "", key(0))
    assert file.read_text().split() == ["[a]:2222", *KEYS[0].split()]
    with pytest.raises(paramiko.SSHException, match="does not match"):
        policy.missing_host_key(None, "", key(1))


def test_a_key_that_cannot_be_kept_is_not_taken(tmp_path):
    policy = policy_for(tmp_path / "none" / "x" / "known_hosts", "accept-new")
    with pytest.raises(paramiko.SSHException, match="cannot be kept"):
        policy.missing_host_key(None, "", key(0))


OFFERED = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("a {rsa}", ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa", "ssh-ed25519"]),
        # The order is that of the types, not that of the file.
        ("a {rsa}\na {2}", ["ecdsa-sha2-nistp256", "rsa-sha2-512"]),
        ("a {2}\na {rsa}", ["ecdsa-sha2-nistp256", "rsa-sha2-512"]),
        ("b {rsa}", list(OFFERED)),
        ("", list(OFFERED)),
        ("@cert-authority * {0}\na {rsa}", [f"{kind}{CERTIFICATE}" for kind in OFFERED]),
        ("@cert-authority b {0}\na {rsa}", ["rsa-sha2-512"]),
        ("@revoked a {rsa}", list(OFFERED)),
    ],
)
def test_keys_of_known_types_are_asked_for(tmp_path, text, first):
    file = tmp_path / "known_hosts"
    rsa = f"ssh-rsa {paramiko.RSAKey.generate(2048).get_base64()}"
    file.write_text(text.format(*KEYS, rsa=rsa))
    found = policy_for(file, "strict").types(OFFERED)
    assert found[: len(first)] == first
    assert set(OFFERED) <= set(found)


@pytest.mark.parametrize(
    ("text", "alias", "refusal"),
    [
        ("[a]:2222 {0}", "", None),
        ("a {0}", "", None),  # sshconnect.c: "found matching key w/out port"
        ("a {1}", "", "No host key"),
        ("[a]:2222 {1}\na {0}", "", "does not match"),
        ("one {0}", "one", None),
        ("a {0}", "one", "No host key"),
        ("[one]:2222 {0}", "one", "No host key"),
    ],
)
def test_the_name_has_the_port_unless_there_is_an_alias(tmp_path, text, alias, refusal):
    file = tmp_path / "known_hosts"
    file.write_text(text.format(*KEYS))
    policy = policy_for(file, "strict", port=2222, hostkeyalias=alias)
    if refusal is None:
        policy.missing_host_key(None, "", key(0))
    else:
        with pytest.raises(paramiko.SSHException, match=refusal):
            policy.missing_host_key(None, "", key(0))


def test_all_files_count_and_new_keys_go_to_the_first(tmp_path):
    files = [tmp_path / name for name in ("none", "one", "two")]
    files[2].write_text(f"a {KEYS[0]}\n")
    answer = {"userknownhostsfile": (f"{files[0]} {files[1]}",)}
    answer["globalknownhostsfile"] = (str(files[2]),)
    place = host("a", host_key_checking="accept-new")
    HostKeyPolicy(way(place, answer)).missing_host_key(None, "", key(0))
    assert not files[0].exists()
    HostKeyPolicy(way(host("b", host_key_checking="accept-new"), answer)).missing_host_key(
        None, "", key(1)
    )
    assert files[0].read_text() == f"b {KEYS[1]}\n"


def test_a_list_of_revoked_keys(tmp_path):
    known, revoked = tmp_path / "known", tmp_path / "revoked"
    known.write_text(f"a {KEYS[0]}\n")
    revoked.write_text(f"# stolen\n{KEYS[0]} of somebody\n")
    with pytest.raises(paramiko.SSHException, match="revoked"):
        policy_for(known, "strict", revokedhostkeys=str(revoked)).missing_host_key(None, "", key(0))


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="there is no ssh-keygen")
def test_a_list_of_revoked_keys_in_opensshs_own_format(tmp_path):
    known, revoked, one = tmp_path / "known", tmp_path / "revoked", tmp_path / "one.pub"
    known.write_text(f"a {KEYS[0]}\na {KEYS[1]}\n")
    one.write_text(f"{KEYS[0]}\n")
    subprocess.run(["ssh-keygen", "-q", "-k", "-f", revoked, one], check=True)
    policy = policy_for(known, "off", revokedhostkeys=str(revoked))
    policy.missing_host_key(None, "", key(1))
    with pytest.raises(paramiko.SSHException, match="marked as revoked"):
        policy.missing_host_key(None, "", key(0))
    revoked.write_bytes(b"SSHKRL\n\0\xff")
    policy = policy_for(known, "off", revokedhostkeys=str(revoked))
    with pytest.raises(paramiko.SSHException, match=r"ssh-keygen, which reads .* failed"):
        policy.missing_host_key(None, "", key(1))


COMMAND = """\
#!/bin/sh
printf '%s\\n' "$*" >>{0}/asked
cat {0}/lines
exit $(cat {0}/status)
"""


@pytest.fixture
def command(tmp_path):
    """`command(text, status)`: a KnownHostsCommand that prints a text."""

    def made(text="", status=0):
        program = tmp_path / "program"
        program.write_text(COMMAND.format(tmp_path))
        program.chmod(0o755)
        (tmp_path / "lines").write_text(text)
        (tmp_path / "status").write_text(str(status))
        return f'{program} "%I %H" %t %f %p %%h'

    return made


def test_lines_that_a_command_prints(tmp_path, command):
    none = tmp_path / "none"
    host_of = host("a", host_key_checking=None, port=2222)

    def policy(text, status=0):
        files = {"userknownhostsfile": (str(none),), "globalknownhostsfile": ("none",)}
        said = {**files, "knownhostscommand": (command(text, status),)}
        return HostKeyPolicy(way(host_of, said))

    found = policy(f"[a]:2222 {KEYS[0]}\n")
    assert found.types(["ssh-rsa", "ssh-ed25519"])[0] == KEYS[0].split()[0]
    found.missing_host_key(None, "", key(0))
    first, second = (tmp_path / "asked").read_text().splitlines()
    assert first == "ORDER [a]:2222 NONE NONE 2222 %h"
    assert second.startswith(f"HOSTNAME [a]:2222 {KEYS[0].split()[0]} SHA256:")
    with pytest.raises(paramiko.SSHException, match="does not match"):
        found.missing_host_key(None, "", key(1))
    with pytest.raises(paramiko.SSHException, match="revoked"):
        policy(f"[a]:2222 {KEYS[0]}\n@revoked * {KEYS[0]}\n").missing_host_key(None, "", key(0))
    with pytest.raises(paramiko.SSHException, match="No host key"):
        policy("").missing_host_key(None, "", key(0))
    with pytest.raises(paramiko.SSHException, match=r"KnownHostsCommand .* failed: broken"):
        policy("broken\n", 3)
    declared = host("a", host_key_checking=None, known_hosts=none)
    assert not way(declared, {"knownhostscommand": ("/bin/false",)}).known_command


def test_a_file_without_end_is_not_read_to_it(tmp_path):
    (tmp_path / "known_hosts").symlink_to("/dev/zero")
    with pytest.raises(OSError, match="File too large"):
        KnownHosts([tmp_path / "known_hosts"])
