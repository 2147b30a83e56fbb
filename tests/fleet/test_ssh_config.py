"""What OpenSSH's configuration says of a host holds, and known_hosts mean what they mean to it.

Each host has a second sshd on port 2222, with keys of three types.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from paramiko import HostKeys

from regfleet.rehearse.twin import HostSpec

ROOT = Path(__file__).resolve().parents[2]
HEAD = 'version = 1\nname = "test"\n\n[ssh]\nsudo = false\n'
SECOND = r"""
for kind in rsa ecdsa ed25519; do
    ssh-keygen -q -t $kind -N '' -f /etc/ssh/second_$kind
done
cat >/etc/ssh/second <<'EOF'
Port 2222
HostKey /etc/ssh/second_rsa
HostKey /etc/ssh/second_ecdsa
HostKey /etc/ssh/second_ed25519
PidFile /run/second.pid
UsePAM no
LogLevel VERBOSE
PermitRootLogin yes
MaxAuthTries 4
EOF
$(command -v sshd) -f /etc/ssh/second -E /var/log/second.log
"""


@pytest.fixture(scope="module")
def twin(boot_for_module):
    made = boot_for_module(HostSpec("one", variant="bare"), HostSpec("two", variant="light"))
    for host in made.hosts.values():
        host.read(SECOND)
    return made


class User:
    """A home with an SSH configuration, a fleet file for both hosts, and ways to reach them."""

    def __init__(self, twin, directory):
        self.twin = twin
        self.directory = directory
        self.address = {name: host.address for name, host in twin.hosts.items()}
        self.ssh = directory / ".ssh"
        self.ssh.mkdir(mode=0o700)
        self.fleet = directory / "fleet.toml"
        self.environment = {"HOME": str(directory), "SSH_AUTH_SOCK": ""}
        self.declare('hosts = ["build1"]')

    def declare(self, hosts, ssh=""):
        self.fleet.write_text(f"{HEAD}{ssh}\n[client.all]\n{hosts}\n".format(**self.address))

    def configure(self, text):
        (self.ssh / "config").write_text(text.format(key=self.twin.key, **self.address))

    def know(self, text, name="known_hosts"):
        (self.ssh / name).write_text(text)

    def key_of(self, kind, host="one"):
        """A public host key of the second sshd."""
        line = self.twin.hosts[host].read(f"cat /etc/ssh/second_{kind}.pub")
        return " ".join(line.split()[:2])

    def line(self, kind, host="one"):
        return f"[{self.address[host]}]:2222 {self.key_of(kind, host)}\n"

    def run(self, *command, **more):
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **self.environment, **more},
        )

    def plan(self, **more):
        """Each host's error by name; None where it was reached."""
        done = self.run(sys.executable, "-m", "regfleet", "plan", self.fleet.name, "--json", **more)
        assert "Traceback" not in done.stderr
        assert done.stdout, done.stderr
        self.said = done.stderr
        hosts = json.loads(done.stdout)["hosts"]
        return {name: host["error"] for name, host in hosts.items()}

    def pyinfra(self):
        """pyinfra's own command line; its output, and whether it reached every host."""
        inventory = self.directory / "inventory.py"
        inventory.write_text(
            "from pathlib import Path\nfrom regfleet.inventory import groups\n"
            f"globals().update(groups(Path({str(self.fleet)!r})))\n"
        )
        done = self.run(sys.executable, "-m", "pyinfra", inventory.name, "exec", "--", "true")
        return done.returncode == 0, done.stdout + done.stderr

    def both(self):
        """The error of the one host, which is the same for both command lines."""
        (error,) = self.plan().values()
        reached, said = self.pyinfra()
        assert reached is (error is None), said
        assert error is None or " ".join(error.split())[:60] in " ".join(said.split())
        return error


@pytest.fixture
def user(twin, tmp_path):
    return User(twin, tmp_path)


NAMED = """
Host build1
  HostName {one}
  Port 2222
  User root
  IdentityFile {key}
"""


def test_address_port_user_and_key_of_the_configuration(user):
    user.configure(NAMED)
    user.know(user.line("ed25519"))
    assert user.both() is None


def test_what_the_fleet_file_declares_comes_first(user, twin):
    user.configure(NAMED.replace("2222", "1").replace("root", "nobody"))
    user.know(user.line("ed25519"), "fleets")
    user.declare(
        'hosts = ["build1"]',
        f'user = "root"\nport = 2222\nkey = "{twin.key}"\nknown_hosts = ".ssh/fleets"\n',
    )
    assert user.both() is None


def test_included_files_whose_names_have_blanks_and_a_match_that_asks_a_program(user):
    (user.ssh / "more of it").mkdir()
    included = user.ssh / "more of it" / "a b.conf"
    included.write_text(
        (NAMED + 'Match host build* exec "test %n = build1"\n  Port 2222\n')
        .replace("  Port 2222\n", "", 1)
        .replace("Host build1", "Host build*")
        .format(key=user.twin.key, **user.address)
    )
    user.configure(f'Include "{user.ssh}/more of it/*.conf"\n')
    user.know(user.line("ed25519"))
    # OpenSSH matches the name that it was told to connect to by then.
    included.write_text(included.read_text().replace("host build*", "originalhost build*"))
    assert user.both() is None


def test_files_names_and_rules_of_host_keys(user):
    files = f'UserKnownHostsFile "{user.ssh}/first of all" {user.ssh}/second\n'
    user.configure(f"{NAMED}  {files}  GlobalKnownHostsFile {user.ssh}/all\n")
    user.know(user.line("ed25519"))  # not one of the files
    assert "No host key" in user.both()
    for name in ("first of all", "second", "all"):
        user.know(user.line("ed25519"), name)
        assert user.plan() == {"build1": None}
        (user.ssh / name).unlink()
    user.configure(f"{NAMED}  {files}  HostKeyAlias Machine\n  GlobalKnownHostsFile none\n")
    user.know(f"machine {user.key_of('ed25519')}\n", "second")
    assert user.both() is None
    user.know("", "second")
    user.configure(f"{NAMED}  {files}  StrictHostKeyChecking accept-new\n")
    assert user.both() is None
    assert user.address["one"] in (user.ssh / "first of all").read_text()
    assert 'host_key_checking = "accept-new"' in user.said or "--json" in user.said


def test_without_files_of_known_hosts_keys_are_not_checked_where_nobody_wants_it(user):
    user.configure(f"{NAMED}  UserKnownHostsFile none\n  StrictHostKeyChecking no\n")
    assert user.both() is None


def test_a_configuration_that_openssh_refuses_is_its_hosts_error(user):
    user.configure(f"{NAMED}  Nonsense yes\n")
    error = user.both()
    assert "OpenSSH's configuration cannot be used" in error
    assert "nonsense" in error.lower()
    assert "ssh -G build1" in error


def test_a_proxy_command_with_tokens(user):
    through = (
        f"ssh -F none -i {user.twin.key} -o UserKnownHostsFile={user.twin.known_hosts} "
        f"-W %h:%p root@{user.address['two']} 2>/dev/null"
    )
    user.configure(f"{NAMED}  ProxyCommand {through}\n")
    user.know(user.line("ed25519"))
    assert user.both() is None


@pytest.mark.parametrize(
    ("lines", "refusal"),
    [
        pytest.param("AddressFamily inet", None, marks=pytest.mark.soak),
        ("AddressFamily inet6", "Address family"),
        ("BindAddress 127.0.0.1", "Could not connect"),
        ("BindAddress {local}", None),
        pytest.param("BindInterface lo", "Could not connect", marks=pytest.mark.soak),
        ("ConnectTimeout 3", None),
        ("HostKeyAlgorithms ecdsa-sha2-nistp256", "does not match"),
        pytest.param("HostKeyAlgorithms ssh-ed25519,rsa-sha2-512", None, marks=pytest.mark.soak),
        pytest.param("KexAlgorithms curve25519-sha256", None, marks=pytest.mark.soak),
        ("KexAlgorithms sntrup761x25519-sha512@openssh.com", "of kexalgorithms in OpenSSH's"),
        pytest.param("Ciphers aes256-gcm@openssh.com", None, marks=pytest.mark.soak),
        ("Ciphers chacha20-poly1305@openssh.com", "of ciphers in OpenSSH's configuration"),
        ("MACs -hmac-sha1", None),
        ("PubkeyAcceptedAlgorithms rsa-sha2-512", "no key that PubkeyAcceptedAlgorithms"),
        pytest.param("PubkeyAcceptedAlgorithms ssh-ed25519", None, marks=pytest.mark.soak),
        ("PubkeyAuthentication no", "PubkeyAuthentication is off"),
        ("CanonicalizeHostname always\n  CanonicalDomains example", None),
        ("ServerAliveInterval 1\n  ServerAliveCountMax 1\n  Compression yes", None),
        ("ControlMaster auto\n  ControlPath none\n  RequestTTY force", None),
        ("KnownHostsCommand /usr/bin/false", "KnownHostsCommand"),
    ],
)
def test_further_keywords_hold_or_are_said(user, lines, refusal):
    route = user.run("ip", "-o", "route", "get", user.address["one"]).stdout
    local = route.partition(" src ")[2].split()[0]
    user.configure(f"{NAMED}  {lines.replace('{local}', local)}\n")
    user.know(user.line("ed25519"))
    (error,) = user.plan().values()
    assert error is None if refusal is None else refusal in error


def test_host_keys_that_a_command_prints(user):
    user.know(user.line("rsa"), "printed")
    user.configure(f"{NAMED}  KnownHostsCommand {shutil.which('cat')} {user.ssh}/printed\n")
    assert user.both() is None


# ---- known_hosts ----


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("{at} {rsa}", None),
        ("{at} {rsa}\n{at} {ecdsa}", None),
        pytest.param("{at} {ecdsa}\n{at} {rsa}", None, marks=pytest.mark.soak),
        pytest.param("{at} {other}\n{at} {ecdsa}", None, marks=pytest.mark.soak),
        ("{hashed} {rsa}", None),
        ("[{one}]:* {rsa}", None),
        ("[*]:2222,![{one}]:2222 {rsa}", "No host key"),
        ("{one} {ed25519}", None),
        pytest.param("{one} {rsa}", "No host key", marks=pytest.mark.soak),
        ("{at} {rsa}\n@revoked * {rsa}", "revoked"),
        ("{at} {other}", "does not match"),
        ("", "No host key"),
    ],
)
def test_host_keys_of_types_that_are_known(user, text, refusal):
    at = f"[{user.address['one']}]:2222"
    kinds = {kind: user.key_of(kind) for kind in ("rsa", "ecdsa", "ed25519")}
    hashed = HostKeys.hash_host(at)
    other = user.key_of("rsa", "two")
    user.know(text.format(at=at, hashed=hashed, other=other, **kinds, **user.address) + "\n")
    user.configure(NAMED)
    (error,) = user.plan().values()
    assert error is None if refusal is None else refusal in error
    # OpenSSH says the same.
    theirs = user.run(
        "ssh", "-i", user.twin.key, "-o", f"UserKnownHostsFile={user.ssh}/known_hosts", "-o",
        "BatchMode=yes", "-p", "2222", f"root@{user.address['one']}", "true",
    )  # fmt: skip
    assert (theirs.returncode == 0) is (refusal is None), theirs.stderr


CERTIFY = """
cd /etc/ssh && rm -f authority* certified*
ssh-keygen -q -t ed25519 -N '' -f authority
cp second_ed25519 certified && cp second_ed25519.pub certified.pub
ssh-keygen -q -s authority -I test {options} certified.pub
sed '/HostCertificate/d; /HostKey/d' second >third
printf 'HostKey /etc/ssh/certified\\nHostCertificate /etc/ssh/certified-cert.pub\\n' >>third
sed -i 's/2222/2223/; s/second.pid/third.pid/' third
[ ! -s /run/third.pid ] || kill "$(cat /run/third.pid)"
while [ -e /run/third.pid ]; do sleep 0.1; done
$(command -v sshd) -f /etc/ssh/third -E /var/log/third.log
cut -d' ' -f1,2 authority.pub
"""


@pytest.mark.parametrize(
    ("options", "names", "refusal"),
    [
        ("-h -n {one}", "[*]:2223", None),
        ("-h", "[*]:2223", None),
        ("-h -n build1", "[*]:2223", "it is for build1"),
        ("-h -n {one} -V -2w:-1w", "[*]:2223", "not valid at this time"),
        ("-n {one}", "[*]:2223", "it is not a host's certificate"),
        ("-h -n {one}", "*.example", "No host key"),
    ],
)
def test_host_certificates(user, options, names, refusal):
    authority = user.twin.hosts["one"].read(CERTIFY.format(options=options.format(**user.address)))
    user.configure(NAMED.replace("2222", "2223"))
    user.know(f"@cert-authority {names} {authority}\n")
    (error,) = user.plan().values()
    assert error is None if refusal is None else refusal in error
    if refusal is None:
        user.know(f"@cert-authority {names} {authority}\n@revoked * {authority}\n")
        assert "revoked" in user.plan()["build1"]


# ---- keys and agents ----


@pytest.fixture
def agent(user):
    """`agent(files...)` starts an agent that holds keys, and gives it to the user."""
    started = []

    def start(*files):
        sock = user.directory / f"agent{len(started)}"
        process = subprocess.Popen(["ssh-agent", "-D", "-a", sock], stdout=subprocess.DEVNULL)
        started.append(process)
        while not sock.exists():
            assert process.poll() is None
        for file in files:
            done = user.run(
                "ssh-add", file, SSH_AUTH_SOCK=str(sock), SSH_ASKPASS_REQUIRE="force",
                SSH_ASKPASS=str(user.directory / "askpass"), DISPLAY=":0",
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        return str(sock)

    (user.directory / "askpass").write_text("#!/bin/sh\necho secret\n")
    (user.directory / "askpass").chmod(0o700)
    yield start
    for process in started:
        process.kill()
        process.wait()


def made(user, name, *options, passphrase=""):
    file = user.ssh / name
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", file, *options], check=True
    )
    return file


@pytest.fixture
def locked(user):
    """The twin's key with a passphrase."""
    file = user.ssh / "locked"
    shutil.copy(user.twin.key, file)
    shutil.copy(f"{user.twin.key}.pub", f"{file}.pub")
    file.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", file], check=True)
    user.know(user.line("ed25519"))
    return file


def test_a_key_with_a_passphrase_is_the_agents_or_says_what_to_do(user, locked, agent):
    user.configure(NAMED.replace("{key}", str(locked)))
    error = user.both()
    assert f"the key {locked} has a passphrase, and no agent holds it" in error
    assert f"ssh-add {locked}" in error
    user.environment["SSH_AUTH_SOCK"] = agent(locked)
    assert user.both() is None
    (user.ssh / "locked.pub").unlink()  # the file itself has the public half, too
    assert user.both() is None


def test_a_key_with_a_passphrase_in_the_fleet_file(user, locked, agent):
    user.configure(NAMED.replace("  IdentityFile {key}\n", ""))
    user.declare('hosts = ["build1"]', 'key = ".ssh/locked"\n')
    assert "has a passphrase, and no agent holds it" in user.both()
    user.environment["SSH_AUTH_SOCK"] = agent(made(user, "other"), locked)
    assert user.both() is None


def test_an_agent_with_many_keys(user, locked, agent):
    """sshd ends the connection after MaxAuthTries keys; the chosen key comes first."""
    wrong = [made(user, f"wrong{number}") for number in range(6)]
    sock = agent(*wrong, locked)
    user.environment["SSH_AUTH_SOCK"] = sock
    user.configure(NAMED.replace("{key}", str(locked)) + "  IdentitiesOnly yes\n")
    before = _attempts(user)
    assert user.plan() == {"build1": None}
    assert _attempts(user) == before
    user.configure(NAMED.replace("  IdentityFile {key}\n", ""))
    assert user.both() is None  # in a second connection


def _attempts(user):
    """Keys that the second sshd refused."""
    return int(user.twin.hosts["one"].read("grep -c 'Failed publickey' /var/log/second.log || :"))


def test_the_agent_that_the_configuration_names_and_a_public_key_alone(user, locked, agent):
    sock = agent(locked)
    locked.unlink()
    user.configure(
        NAMED.replace("{key}", f"{locked}.pub") + f"  IdentityAgent {sock}\n  IdentitiesOnly yes\n"
    )
    assert user.both() is None
    user.environment["SSH_AUTH_SOCK"] = sock
    user.configure(NAMED.replace("{key}", f"{locked}.pub") + "  IdentityAgent none\n")
    assert "Authentication failed" in user.both()


def test_a_certificate_for_a_key(user, twin):
    host = twin.hosts["one"]
    authority, key = made(user, "authority"), made(user, "certified")
    host.run("cat >/etc/ssh/trusted", stdin=authority.with_suffix(".pub").read_text())
    host.read(
        "echo 'TrustedUserCAKeys /etc/ssh/trusted' >>/etc/ssh/second; "
        "kill $(cat /run/second.pid); while [ -e /run/second.pid ]; do sleep 0.1; done; "
        "$(command -v sshd) -f /etc/ssh/second -E /var/log/second.log"
    )
    user.know(user.line("ed25519"))
    user.configure(NAMED.replace("{key}", str(key)))
    assert "Authentication failed" in user.plan()["build1"]
    sign = ["ssh-keygen", "-q", "-s", authority, "-I", "me", "-n", "root", f"{key}.pub"]
    subprocess.run(sign, check=True)
    assert user.both() is None
    Path(f"{key}-cert.pub").rename(user.ssh / "elsewhere.pub")
    assert "Authentication failed" in user.plan()["build1"]
    user.configure(
        NAMED.replace("{key}", str(key)) + f"  CertificateFile {user.ssh}/elsewhere.pub\n"
    )
    assert user.both() is None


# ---- how often OpenSSH is asked ----


@pytest.fixture
def asked(user):
    """`asked()`: the names that `ssh -G` was started for since the last call."""
    log, tools = user.directory / "asked", user.directory / "tools"
    tools.mkdir()
    (tools / "ssh").write_text(
        f'#!/bin/sh\n[ "$1" != -G ] || {{ for name; do :; done; echo "$name" >>{log}; }}\n'
        f'exec {shlex.quote(shutil.which("ssh"))} "$@"\n'
    )
    (tools / "ssh").chmod(0o755)
    log.touch()
    user.environment["PATH"] = f"{tools}:{os.environ['PATH']}"

    def names():
        found = sorted(log.read_text().split())
        log.write_text("")
        return found

    return names


def test_openssh_is_asked_once_and_again_when_a_file_changes(user, asked):
    included = user.ssh / "included"
    included.write_text(NAMED.format(key=user.twin.key, **user.address))
    (user.ssh / "config").write_text(f"Include {included}\nHost two\n  Port 2222\n")
    user.know(user.line("ed25519") + user.line("ed25519", "two"))
    user.declare(
        'hosts = ["build1", {{ name = "two", address = "{two}", ssh = {{ user = "x" }} }}]'
    )
    found = user.plan()
    assert found["build1"] is None
    assert asked() == sorted(["build1", user.address["two"]])
    assert user.plan() == found
    assert user.pyinfra()
    assert asked() == []
    user.declare('hosts = ["build1", "build2"]')
    user.plan()
    assert asked() == ["build2"]
    stamps = included.stat()
    text = included.read_text()
    included.write_text(text.replace("2222", "2221"))  # the same size and the same times
    os.utime(included, ns=(stamps.st_atime_ns, stamps.st_mtime_ns))
    assert "port 2221" in user.plan()["build1"]
    assert asked() == ["build1", "build2"]
    included.write_text(f"{text}Match exec true\n  ForwardAgent no\n")
    for _ in range(2):
        assert user.plan()["build1"] is None
        assert asked() == ["build1", "build2"]


def test_openssh_is_not_asked_where_nothing_is_configured(user, asked, twin):
    user.configure("Host *\n  HashKnownHosts yes\n  SendEnv LANG\n")
    user.declare(
        'hosts = [{{ name = "one", address = "{one}" }}]',
        f'user = "root"\nkey = "{twin.key}"\nknown_hosts = "{twin.known_hosts}"\n',
    )
    assert user.plan() == {"one": None}
    assert user.pyinfra()[0]
    assert asked() == []


def test_without_an_openssh_client_the_file_is_read_as_before(user):
    user.configure(NAMED)
    user.know(user.line("ed25519"))
    tools = user.directory / "bare"
    tools.mkdir()
    for name in ("sh", "env"):
        (tools / name).symlink_to(shutil.which(name))
    user.environment["PATH"] = str(tools)
    assert user.plan() == {"build1": None}
