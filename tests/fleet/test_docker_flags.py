"""dockerd with flags of its own on real hosts: /etc/sysconfig/docker by ownership, and flags that
stand in daemon.json's way, refused or moved into it."""

import json

import pytest

from regfleet.documents.sysconfig_scan import scan
from regfleet.documents.unit import settings
from regfleet.engines import docker_start
from regfleet.look.parse import parse
from regfleet.look.request import render
from regfleet.model.desired import DesiredHost
from regfleet.rehearse.twin import HostSpec

pytestmark = pytest.mark.long

BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
[registry.main.users]
ci = { password = "generate" }

[registry.plain]
hosts = [$reg1]
endpoint = "registry.test:5001"
image_archive = "$registry_tar"
storage = "/srv/plain"
tls = { source = "none" }

[client.flags]
hosts = [HOSTS]
registries = ["main", "plain"]
mirrors = ["https://mirror.test"]
login = { main = "ci" }
MORE

[smoke]
image_archive = "$busybox_tar"
"""
UNIT = "/lib/systemd/system/docker.service"
DROP_IN = "/etc/systemd/system/docker.service.d/options.conf"
SYSCONFIG = "/etc/sysconfig/docker"
DAEMON = "/etc/docker/daemon.json"
READS = f"""\
# our own
[Service]
EnvironmentFile=-{SYSCONFIG}
ExecStart=
ExecStart=/usr/sbin/dockerd -H fd:// \\
    --containerd=/run/containerd/containerd.sock \\
    $OPTIONS
"""
OPTIONS = """\
# /etc/sysconfig/docker

# Modify these options if you want to change the way the docker daemon runs
OPTIONS='--log-driver=json-file --insecure-registry theirs.test:5000 --registry-mirror=https://a.test'
if [ -z "${DOCKER_CERT_PATH}" ]; then
    DOCKER_CERT_PATH=/etc/docker
fi
"""
CLIENTS = ("old", "new")
STEPS = ("push", "pull", "digest", "run")


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(
        HostSpec("reg1", aliases=("registry.test",)),
        HostSpec("old"),
        HostSpec("new", "trixie"),
        HostSpec("script", variant="sysv"),
    )


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(twin, write_fleet, state, regfleet):
    """`run("apply", "--yes", more="...", hosts=[...])`."""

    def run(command, *options, more, hosts=CLIENTS):
        names = ", ".join(f"${name}" for name in hosts)
        fleet = write_fleet(twin, BODY.replace("HOSTS", names).replace("MORE", more))
        return regfleet(command, fleet, "--state-dir", state, *options)

    return run


def put(host, path, text):
    done = host.run(f"mkdir -p $(dirname {path}) && cat >{path}", stdin=text)
    assert done.returncode == 0, done.stderr


def restart(host):
    host.read("systemctl daemon-reload && systemctl reset-failed docker; systemctl restart docker")


def flags(host):
    return host.read("tr '\\0' ' ' </proc/$(pidof dockerd)/cmdline")


def live(host):
    shown = json.loads(host.read("docker info -f '{{json .RegistryConfig}}'"))
    insecure = {name for name, each in shown["IndexConfigs"].items() if not each["Secure"]}
    return insecure, set(shown["Mirrors"] or ())


AS_SYSCONFIG = 'engine = "docker-sysconfig"'


FILES = [
    OPTIONS,
    "OPTIONS=--a=b\n",
    "OPTIONS=--a --b  \n",
    "OPTIONS=\n",
    "OPTIONS=''",
    'OPTIONS="--a \\\n  --b \\\n"\n',
    "OPTIONS='--a\n--b'\nOTHER=1\n",
    "OPTIONS=--a \\\n --b\n",
    "OPTIONS='--a'\n# OPTIONS='--b'\n; OPTIONS='--c'\nOPTIONS=\"--d 'e f'\"\n",
    "  OPTIONS='--a'  \n",
    'OPTIONS="--a"\r\n',
]


@pytest.mark.parametrize("name", CLIENTS)
def test_systemd_reads_a_file_of_variables_as_we_do(twin, name):
    host = twin.hosts[name]
    for text in FILES:
        variable = scan(text)["OPTIONS"]
        assert not variable.trouble
        put(host, "/run/variables", text)
        said = host.run(
            "systemd-run -q --wait --pipe -p EnvironmentFile=/run/variables "
            'sh -c \'printf "[%s]" "$OPTIONS"\''
        )
        assert (text, said.stdout) == (text, f"[{variable.text}]")


@pytest.mark.parametrize("name", CLIENTS)
def test_systemd_reads_a_unit_as_we_do(twin, name):
    host = twin.hosts[name]
    text = (
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nStandardOutput=file:/run/words\n"
        "ExecStart=/bin/echo  a \\\n  'b c' \\\n"
        '# note\n  d"e f" \\\n\\\n\tg $OPTIONS # h\n'
    )
    put(host, "/run/systemd/system/words.service", text)
    host.read("systemctl daemon-reload && systemctl start words")
    said = host.read(
        "systemctl show -p ExecStart --value words | sed 's/.*argv\\[\\]=//; s/ ;.*//'"
    )
    words = [word.text for word in settings(text)[-1].words]
    assert said == " ".join(words)
    assert host.read("cat /run/words") == " ".join(word for word in words[1:] if word != "$OPTIONS")


class TestSysconfig:
    def test_a_unit_that_reads_another_file_is_refused_with_the_remedy(self, run):
        done = run("plan", more=AS_SYSCONFIG)
        said = done.stdout + done.stderr
        assert done.returncode == 1
        assert f"{UNIT} does not read it (it reads /etc/default/docker)" in " ".join(said.split())
        assert f"EnvironmentFile=-{SYSCONFIG}" in said

    def test_ours_goes_beside_theirs_and_works(self, twin, run, proven):
        for name in CLIENTS:
            put(twin.hosts[name], DROP_IN, READS)
            put(twin.hosts[name], SYSCONFIG, OPTIONS)
            restart(twin.hosts[name])
        done = run("apply", "--yes", "--json", more=AS_SYSCONFIG)
        assert done.returncode == 0, done.stdout + done.stderr
        hosts = json.loads(done.stdout)["hosts"]
        for name in CLIENTS:
            host = twin.hosts[name]
            checks = {f"{registry}/{step}" for registry in ("main", "plain") for step in STEPS}
            assert {hosts[name]["smoke"].get(check) for check in checks} == {"passed"}
            (change,) = [
                each for each in hosts[name]["changes"] if each["resource"] == f"file {SYSCONFIG}"
            ]
            assert change["activation"] == "restart"
            assert "a reload does not do" in change["reason"]
            assert host.read(f"cat {SYSCONFIG}") == OPTIONS.strip().replace(
                "theirs.test:5000", "theirs.test:5000 --insecure-registry registry.test:5001"
            ).replace("https://a.test", "https://a.test --registry-mirror=https://mirror.test")
            insecure, mirrors = live(host)
            assert {"theirs.test:5000", "registry.test:5001"} <= insecure
            assert mirrors == {"https://a.test/", "https://mirror.test/"}
            assert host.run(f"test -e {DAEMON}").returncode != 0
            version = host.read("docker version -f '{{.Server.Version}}'")
            proven("docker-sysconfig", version, host.spec.suite, "TLS, plain, mirror, login")

    def test_a_second_run_finds_nothing(self, run):
        done = run("apply", "--yes", more=AS_SYSCONFIG)
        assert "nothing to do on 3 hosts" in done.stdout, done.stdout + done.stderr

    def test_a_daemon_that_was_started_otherwise_is_restarted(self, twin, run):
        host = twin.hosts["old"]
        text = host.read(f"cat {SYSCONFIG}")
        put(host, SYSCONFIG, "OPTIONS=''\n")
        restart(host)
        put(host, SYSCONFIG, text + "\n")
        assert "registry.test:5001" not in live(host)[0]
        done = run("apply", "--yes", "--no-smoke", more=AS_SYSCONFIG)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "the running daemon has other flags" in " ".join((done.stdout + done.stderr).split())
        assert "registry.test:5001" in live(host)[0]

    def test_what_dockerd_refuses_is_put_back(self, twin, run):
        """20.10 has no parser to ask: there it is only seen when it does not start."""
        before = {name: twin.hosts[name].read(f"cat {SYSCONFIG}") for name in CLIENTS}
        more = AS_SYSCONFIG + '\ndaemon = { "no-such-key" = true }'
        done = run("apply", "--yes", more=more)
        assert done.returncode == 1
        for name in CLIENTS:
            host = twin.hosts[name]
            assert "no-such-key" in done.stdout + done.stderr
            assert host.read(f"cat {SYSCONFIG}") == before[name]
            assert host.run(f"test -e {DAEMON}").returncode != 0
            assert "registry.test:5001" in live(host)[0]

    def test_a_key_beside_the_flag_is_refused(self, twin, run):
        put(twin.hosts["old"], DAEMON, '{"registry-mirrors": ["https://b.test"]}')
        try:
            done = run("plan", more=AS_SYSCONFIG)
        finally:
            twin.hosts["old"].read(f"rm {DAEMON}")
        assert done.returncode == 1
        assert f'{DAEMON} has "registry-mirrors"' in " ".join((done.stdout + done.stderr).split())

    def test_all_of_it_goes_again_and_theirs_stays_to_the_byte(self, twin, run):
        done = run("destroy", "--yes", more=AS_SYSCONFIG)
        assert done.returncode == 0, done.stdout + done.stderr
        for name in CLIENTS:
            host = twin.hosts[name]
            assert host.read(f"cat {SYSCONFIG}") == OPTIONS.strip()
            assert live(host) == ({"theirs.test:5000"}, {"https://a.test/"})


IN_DROP_IN = READS.replace("$OPTIONS", "--insecure-registry=drop.test:5000 \\\n    $OPTIONS")
MIGRATE = "migrate_flags = true"


class TestMigration:
    """The hosts are now Docker's, and their flags are in the way."""

    def test_flags_are_refused_with_their_file(self, twin, run):
        put(twin.hosts["new"], DROP_IN, IN_DROP_IN)
        restart(twin.hosts["new"])
        done = run("plan", more="")
        said = " ".join((done.stdout + done.stderr).split())
        assert done.returncode == 1
        assert f"`--insecure-registry theirs.test:5000` (OPTIONS in {SYSCONFIG})" in said
        assert f"`--insecure-registry=drop.test:5000` ({DROP_IN})" in said
        assert MIGRATE in said
        for name in CLIENTS:
            assert twin.hosts[name].read(f"cat {SYSCONFIG}") == OPTIONS.strip()

    def test_flags_move_into_daemon_json(self, twin, run):
        done = run("apply", "--yes", "--json", more=MIGRATE)
        assert done.returncode == 0, done.stdout + done.stderr
        hosts = json.loads(done.stdout)["hosts"]
        for name in CLIENTS:
            host = twin.hosts[name]
            assert {hosts[name]["smoke"].get(f"plain/{step}") for step in STEPS} == {"passed"}
            assert "OPTIONS='--log-driver=json-file'\n" in host.read(f"cat {SYSCONFIG}") + "\n"
            assert "registry" not in flags(host)
            document = json.loads(host.read(f"cat {DAEMON}"))
            drop_in = ["drop.test:5000"] if name == "new" else []
            assert document == {
                "insecure-registries": [*drop_in, "theirs.test:5000", "registry.test:5001"],
                "registry-mirrors": ["https://a.test", "https://mirror.test"],
            }
            assert host.read(f"cat {DROP_IN}") == READS.strip()
            insecure, mirrors = live(host)
            assert {*drop_in, "theirs.test:5000", "registry.test:5001"} <= insecure
            assert mirrors == {"https://a.test/", "https://mirror.test/"}
        assert "nothing to do on 3 hosts" in run("apply", "--yes", more=MIGRATE).stdout

    def test_a_migration_that_fails_leaves_the_flags_where_they_were(self, twin, run):
        host = twin.hosts["old"]
        before = host.read(f"cat {SYSCONFIG}")
        document = host.read(f"cat {DAEMON}")
        put(host, SYSCONFIG, "OPTIONS='--debug'\n")
        put(host, DROP_IN, READS.replace("$OPTIONS", "--icc=true $OPTIONS"))
        restart(host)
        more = MIGRATE + '\ndaemon = { debug = false, icc = false, "no-such-key" = 1 }'
        done = run("apply", "--yes", "--json", more=more, hosts=["old"])
        assert done.returncode == 1
        assert json.loads(done.stdout)["hosts"]["old"]["status"] == "rolled-back"
        assert host.read(f"cat {SYSCONFIG}") == "OPTIONS='--debug'"
        assert "--icc=true" in host.read(f"cat {DROP_IN}")
        assert host.read(f"cat {DAEMON}") == document
        assert "--icc=true --debug" in flags(host)
        put(host, SYSCONFIG, before + "\n")
        put(host, DROP_IN, READS)
        restart(host)

    def test_a_script_s_flags_move_too(self, twin, run):
        host = twin.hosts["script"]
        text = host.read("cat /etc/default/docker")
        put(
            host,
            "/etc/default/docker",
            text + '\nDOCKER_OPTS="--debug --insecure-registry x.test"\n',
        )
        more = "daemon = { debug = true }"
        done = run("plan", more=more, hosts=["script"])
        assert done.returncode == 1
        assert "(DOCKER_OPTS in /etc/default/docker)" in " ".join(
            (done.stdout + done.stderr).split()
        )
        done = run("apply", "--yes", more=f"{more}\n{MIGRATE}", hosts=["script"])
        assert done.returncode == 0, done.stdout + done.stderr
        assert host.read("tail -n 1 /etc/default/docker") == 'DOCKER_OPTS=""'
        assert {"x.test", "registry.test:5001"} <= live(host)[0]
        assert json.loads(host.read(f"cat {DAEMON}"))["insecure-registries"][0] == "x.test"

    def test_what_moved_stays_when_all_else_goes(self, twin, run):
        done = run("destroy", "--yes", more=MIGRATE, hosts=[*CLIENTS, "script"])
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(twin.hosts["old"].read(f"cat {DAEMON}")) == {
            "insecure-registries": ["theirs.test:5000"],
            "registry-mirrors": ["https://a.test"],
        }
        assert live(twin.hosts["old"]) == ({"theirs.test:5000"}, {"https://a.test/"})
        assert json.loads(twin.hosts["script"].read(f"cat {DAEMON}")) == {
            "insecure-registries": ["x.test"],
            "debug": True,
        }


ETC_UNIT = "/etc/systemd/system/docker.service"
DROP_INS = "/etc/systemd/system/docker.service.d"
RUN = "/run/systemd/system/docker.service.d"
EXEC = (
    "ExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock"
)
# kubernetes-sigs/kubespray roles/container-engine/docker/templates: docker.service.j2,
# docker-options.conf.j2 and docker-dns.conf.j2.
KUBESPRAY = {
    ETC_UNIT: """\
[Unit]
Requires=docker.socket
[Service]
Type=notify
Environment=GOTRACEBACK=crash
ExecReload=/bin/kill -s HUP $MAINPID
Delegate=yes
KillMode=process
ExecStart=/usr/sbin/dockerd -H fd:// \\
          $DOCKER_OPTS \\
          $DOCKER_STORAGE_OPTIONS \\
          $DOCKER_NETWORK_OPTIONS \\
          $DOCKER_DNS_OPTIONS \\
          $INSECURE_REGISTRY
LimitNOFILE=1048576
""",
    f"{DROP_INS}/docker-options.conf": """\
[Service]
Environment="DOCKER_OPTS= --iptables=true \\
--insecure-registry=10.2.2.2:5000  \\
--log-opt max-size=50m --log-opt max-file=5 \\
 --insecure-registry 10.3.3.3:5000"
""",
    f"{DROP_INS}/docker-dns.conf": """\
[Service]
Environment="DOCKER_DNS_OPTIONS=\\
    --dns 10.233.0.3 --dns 10.0.2.3 \\
    --dns-opt ndots:2 --dns-opt timeout:2 \\
"
""",
}
IN_FORCE = {
    "Kubespray's": (
        KUBESPRAY,
        "--insecure-registry=10.2.2.2:5000",
        f"{DROP_INS}/docker-options.conf",
    ),
    "a file that may be missing, and quotes": (
        {
            f"{DROP_INS}/a.conf": "[Service]\nEnvironmentFile=-/etc/none\n"
            f"EnvironmentFile=-{SYSCONFIG}\n{EXEC} $OPTIONS $OTHER\n",
            SYSCONFIG: "OPTIONS=\"--label 'a=b c' --debug\"\n",
        },
        "--debug",
        SYSCONFIG,
    ),
    "a file over Environment=": (
        {
            f"{DROP_INS}/a.conf": "[Service]\nEnvironment=OPTIONS=--debug LEVEL=warn\n"
            f"EnvironmentFile={SYSCONFIG}\n{EXEC} $OPTIONS --log-level=${{LEVEL}}\n",
            SYSCONFIG: "OPTIONS=--label=file=1\n",
        },
        "--log-level=warn",
        f"{DROP_INS}/a.conf",
    ),
    "braces are one word": (
        {
            f"{DROP_INS}/a.conf": "[Service]\nEnvironment=\"TAG=--label=a=b c\" 'MTU=--mtu 1400'\n"
            f"{EXEC} ${{TAG}} $MTU --label cost=$$5\n"
        },
        "--label=a=b c",
        f"{DROP_INS}/a.conf",
    ),
    "the last drop-in, by name": (
        {
            f"{DROP_INS}/10-first.conf": f"[Service]\n{EXEC} --debug\nEnvironment=A=--label=x=1\n",
            f"{RUN}/20-second.conf": f"[Service]\n{EXEC} --icc=false $A\n",
            f"{DROP_INS}/15-third.conf": f"[Service]\n{EXEC} --ipv6=false\n",
            f"{DROP_INS}/30-reset.conf": "[Service]\nEnvironment=\nEnvironment=A=--label=y=2\n",
        },
        "--icc=false",
        f"{RUN}/20-second.conf",
    ),
    "escapes and specifiers": (
        {
            f"{DROP_INS}/a.conf": "[Service]\n"
            'Environment="OPTS=--label \\"a=b c\\" --label=unit=%p"\n'
            f"{EXEC} --label=host=%H $OPTS\n"
        },
        "--label a=b c",
        f"{DROP_INS}/a.conf",
    ),
    "a pattern of files": (
        {
            f"{DROP_INS}/a.conf": f"[Service]\nEnvironmentFile=/etc/docker.d/*.env\n{EXEC} $OPTS\n",
            "/etc/docker.d/2.env": "OPTS=--label=two=2\n",
            "/etc/docker.d/1.env": "OPTS=--label=one=1\n",
        },
        "--label=two=2",
        "/etc/docker.d/2.env",
    ),
}


# Systemd of both ages in turn; the soak has all of both.
SOME_IN_FORCE = [
    pytest.param(name, form, marks=[] if (at + age) % 2 else [pytest.mark.soak])
    for age, name in enumerate(CLIENTS)
    for at, form in enumerate(IN_FORCE)
]


def bare(host):
    """No flags but the package's own."""
    host.read(
        f"rm -rf {DROP_INS} {RUN} {ETC_UNIT} {SYSCONFIG} {DAEMON}"
        " /etc/docker.d; systemctl daemon-reload"
    )


def look(host):
    want = DesiredHost(host.name, "test", engine="docker", engines=("docker",))
    said = host.run("sh -s", stdin=render(want, "salt", "mark")).stdout
    return parse(host.name, said.splitlines(), "mark")


class TestWhatSystemdSays:
    """It alone knows what its files come to; the dockerd that it starts shows that we read it."""

    @pytest.mark.parametrize(("name", "form"), SOME_IN_FORCE)
    def test_flags_are_known_before_dockerd_has_them(self, twin, name, form):
        host = twin.hosts[name]
        bare(host)
        restart(host)
        texts, flag, place = IN_FORCE[form]
        for path, text in texts.items():
            put(host, path, text)
        assert docker_start.of(look(host)).stale
        host.read("systemctl daemon-reload")
        start = docker_start.of(look(host))
        assert not start.stale
        assert (flag, place) in [(each.written, each.file) for each in start.given]
        restart(host)
        given = " ".join(each.written for each in start.given)
        assert given == flags(host).split(" ", 1)[1].strip()

    def test_a_flag_that_waits_for_the_next_start_is_refused_or_moved(self, twin, run):
        """Missed, dockerd is dead at its next start, with flag and key of the same meaning."""
        host = twin.hosts["new"]
        bare(host)
        restart(host)
        for path, text in KUBESPRAY.items():
            put(host, path, text)
        done = run("plan", more="", hosts=["new"])
        assert done.returncode == 1
        assert "run `systemctl daemon-reload` there" in " ".join(
            (done.stdout + done.stderr).split()
        )
        host.read("systemctl daemon-reload")
        assert "10.2.2.2" not in flags(host)
        done = run("plan", more="", hosts=["new"])
        said = " ".join((done.stdout + done.stderr).split())
        assert done.returncode == 1
        where = f"(DOCKER_OPTS in {DROP_INS}/docker-options.conf)"
        assert f"`--insecure-registry=10.2.2.2:5000` {where}" in said
        done = run("apply", "--yes", more=MIGRATE, hosts=["new"])
        assert done.returncode == 0, done.stdout + done.stderr
        assert host.read(f"cat {DROP_INS}/docker-options.conf").splitlines() == [
            "[Service]",
            'Environment="DOCKER_OPTS= --iptables=true \\',
            "--log-opt max-size=50m --log-opt max-file=5 \\",
            ' "',
        ]
        restart(host)
        assert {"10.2.2.2:5000", "10.3.3.3:5000", "registry.test:5001"} <= live(host)[0]
        assert "--dns 10.233.0.3" in flags(host)
        assert "nothing to do" in run("apply", "--yes", more=MIGRATE, hosts=["new"]).stdout
        assert run("destroy", "--yes", more=MIGRATE, hosts=["new"]).returncode == 0
        restart(host)
        assert {"10.2.2.2:5000", "10.3.3.3:5000"} <= live(host)[0]
