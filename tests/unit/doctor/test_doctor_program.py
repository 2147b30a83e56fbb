"""The doctor's program: what it asks, and its shell functions on files made for them."""

import getpass
import socket
import threading
from dataclasses import replace
from shlex import quote

import pytest
import shells
from making import MARK, client, container, desired, fleet, host, login, registry, with_login

from regfleet.doctor import program
from regfleet.doctor.signs import parse
from regfleet.fleet.clients import Mirror
from regfleet.fleet.engine_rules import image_directories
from regfleet.fleet.policies import Replication
from regfleet.fleet.registries import Proxy, Tls
from regfleet.look import request
from regfleet.shell import frame

EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())
HOME = replace(host("reg1"), address="10.0.0.5")
FLEET = fleet(
    [
        registry(hosts=(HOME,)),
        registry("plain", "plain.example.com:5001", hosts=(HOME,), tls=Tls("none"), users=()),
        registry("cache", "[2001:db8::1]:5002", hosts=(HOME,), proxy="https://up.example"),
        registry("unused", "unused.example", hosts=(), external=True),
    ],
    [
        client(
            registries=("main", "plain"),
            mirrors=(
                Mirror("https://[2001:db8::1]:5002", "cache"),
                Mirror("https://mirror.example"),
                Mirror("http://plain2:1"),
            ),
            logins=with_login(accounts=("root", "ops")),
        )
    ],
)


def calls(want, images=(), of=FLEET):
    text = program.render(of, want, "5a17", MARK, images)
    body = text[text.rindex("\ndoctor() {") :]
    return [line.strip() for line in body.partition("\n}\n")[0].splitlines()[2:]]


def test_a_client_is_asked_for_what_it_uses():
    want = desired(logins=(login("root"), login("ops")))
    assert calls(want) == [
        "begin",
        "docker_first",
        "look",
        f"disks /etc /var/lib/regfleet {' '.join(image_directories())}",
        "resolved reg.example.com",
        "resolved plain.example.com",
        "resolved mirror.example",
        "resolved plain2",
        "docker_trouble",
        "docker_certs reg.example.com:5000",
        "docker_try reg.example.com:5000 root",
        "docker_try reg.example.com:5000 ops",
        "docker_certs plain.example.com:5001",
        "docker_try plain.example.com:5001 -",
        "docker_certs '[2001:db8::1]:5002'",
        "docker_try '[2001:db8::1]:5002' -",
        "say examined",
    ]


@pytest.mark.parametrize(
    ("proxy", "places"),
    [
        (Proxy("http://p.lan:3128", "http://p.lan:3128"), ["p.lan:3128"]),
        (Proxy("http://p.lan", "https://p.lan/"), ["p.lan:80", "p.lan:443"]),
        (Proxy("", "socks5://[2001:db8::1]"), ["'[2001:db8::1]:1080'"]),
    ],
)
def test_a_proxy_is_knocked_at(proxy, places):
    of = fleet(clients=[client(proxy=proxy)])
    found = calls(desired(), of=of)
    assert [call for call in found if call.startswith("reaches")] == [
        f"reaches {p}" for p in places
    ]


def test_a_registrys_proxy_is_knocked_at_where_it_runs():
    made = registry(http_proxy=Proxy(https="http://p.lan:3128"))
    of = fleet([made], [client(proxy=Proxy("http://c.lan", "http://p.lan:3128"))])
    assert program.proxies(of, "reg1") == {"p.lan:3128": "registry.main.http_proxy"}
    assert program.proxies(of, "web1") == {
        "c.lan:80": "client.build.proxy",
        "p.lan:3128": "client.build.proxy",
    }


def test_a_registry_is_asked_for_what_it_runs():
    want = desired(name="reg1", services=(container(),))
    found = calls(want, ["registry:2"])
    assert found[-1] == "say examined"
    ports = (5000, 5001, 5002)
    assert {f"listener 127.0.0.1:{port} {port} ''" for port in ports} <= set(found)
    assert {"container_state regfleet-main", "docker_offer registry:2"} <= set(found)
    assert not [call for call in found if "_try" in call or "resolved" in call]


def test_the_clients_own_engine_tries():
    want = desired(name="web1", engine="podman", engines=("docker", "podman"))
    found = calls(want)
    assert "podman_try reg.example.com:5000 root" in found
    assert not [call for call in found if call.startswith("docker_try")]
    assert found[:4] == ["begin", "docker_first", "podman_first", "look"]


def test_an_engine_that_the_doctor_does_not_know_is_not_taken_for_another():
    want = desired(name="web1", engine="buildkit", engines=("docker", "buildkit"))
    assert not [call for call in calls(want) if "_try" in call]


def test_nothing_runs_before_all_of_it_is_there():
    text = program.render(FLEET, desired(), "5a17", MARK)
    assert "\nlook </dev/null" not in text
    assert text.endswith("\n}\n" + frame.around(MARK, "doctor </dev/null"))


# ---- its functions ----


def examine(shell, *lines):
    text = f"{program.program('docker')}\n{request.program('docker')}"
    return shells.lines(shell, "\n".join([text, *lines, ""]))


@EVERY_SHELL
def test_disks_that_are_and_that_would_be(shell, tmp_path):
    signs = parse(examine(shell, f"disks / {quote(str(tmp_path / 'a b' / 'c'))}"))
    assert "/" in {disk.mount for disk in signs.disks}
    assert all(disk.free >= 0 for disk in signs.disks)


@EVERY_SHELL
def test_names_that_resolve_and_that_do_not(shell):
    signs = parse(examine(shell, "resolved localhost", "resolved none.invalid"))
    if shell == "busybox":  # it has no getent: nothing is known, nothing is claimed
        assert signs.names == {}
        return
    assert set(signs.names["localhost"]) & {"127.0.0.1", "::1"}
    assert signs.names["none.invalid"] == ()


@EVERY_SHELL
def test_who_listens(shell):
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        signs = parse(
            examine(
                shell,
                f"listener all {taken} ''",
                f"listener there {taken} 127.0.0.1:{taken}",
                f"listener elsewhere {taken} 127.0.0.2:{taken}",
                "listener none 1 ''",
            )
        )
    if shell == "busybox":
        assert signs.ports == {}
        return
    assert signs.ports["none"] == signs.ports["elsewhere"] == ""
    if getpass.getuser() == "root":
        assert signs.ports["all"].startswith(("python", "pytest"))
    assert signs.ports["all"]
    assert signs.ports["there"] == signs.ports["all"]


def _hang_up(server):
    server.accept()[0].close()


@EVERY_SHELL
def test_who_accepts_connections(shell):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.listen()
        port = server.getsockname()[1]
        threading.Thread(target=_hang_up, args=(server,), daemon=True).start()
        signs = parse(
            examine(
                shell, f"reaches 127.0.0.1:{port}", "reaches 127.0.0.1:1", "reaches no.invalid:1"
            )
        )
    if shell == "busybox":  # it has neither curl nor openssl: nothing is known, nothing is claimed
        assert signs.unreached == {}
        return
    assert set(signs.unreached) == {"127.0.0.1:1", "no.invalid:1"}
    assert all(signs.unreached.values())


@EVERY_SHELL
def test_certificates_by_directory(shell, tmp_path):
    (tmp_path / "a b.cert").touch()
    (tmp_path / "ca.crt").touch()
    signs = parse(examine(shell, f"certificates {tmp_path}", f"certificates {tmp_path}/none"))
    assert signs.certificates == {str(tmp_path): ("a b.cert", "ca.crt")}


@EVERY_SHELL
def test_logins_in_urls_stay(shell):
    (line,) = examine(
        shell, "printf '%s\\n' 'a http://joe:pa:ss@p:1/x?u=@ https://q/@b socks5://u@h' | scrub"
    )
    assert line == "a http://***@p:1/x?u=@ https://q/@b socks5://***@h"


@EVERY_SHELL
def test_lines_that_tell_of_trouble(shell):
    log = (
        'time="2026-01-01T00:00:00Z" level=info msg="up"',
        'time="2026-01-01T00:00:00Z" level=error msg="down"',
        "panic: it broke",
        'msg="user docker has password kanarienvogel"',
        "",
    )
    text = "\n".join(log)
    assert examine(shell, f"printf '%s\\n' {quote(text)} | serious") == [
        'level=error msg="down"',
        "panic: it broke",
    ]


def test_a_proxy_of_copies_is_knocked_at_where_they_run():
    by = Proxy(https="http://p.lan:3128")
    policy = Replication("fetch", "hub", ("main",), http_proxy=by)
    hub = registry("hub", hosts=(), external=True)
    of = replace(fleet([registry(), hub]), replications={"fetch": policy})
    assert program.proxies(of, "reg1") == {"p.lan:3128": "replication.fetch.http_proxy"}
