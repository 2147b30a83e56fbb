"""To whom sudo's password is offered, how often, and what a host says of it."""

import re

import gevent
import pytest
import shells

from regfleet.errors import HostError, UsageError
from regfleet.secret import Secret
from regfleet.shell.command import ANSWER, command_with_password, offer_password
from regfleet.ssh import sudo_password
from regfleet.ssh.sudo_password import SudoPassword

WORK = "sh -s"


class Host:
    """A host that answers the commands that are given to it."""

    def __init__(self, right="right", *, free=False, said="sudo: 1 incorrect password attempt"):
        self.right, self.free, self.said = right, free, said
        self.offered = []
        self.seen = []

    def __call__(self, command, stdin):
        text = "".join(stdin)
        gevent.sleep(0.001)
        if "@free" in command:
            mark = re.search("@free ([0-9a-f]+)", command)[1]
            return ["greeting", f"@free {mark}"] if self.free else ["sudo: a password is required"]
        if ANSWER in command:
            self.offered.append(text.rstrip("\n"))
            mark = command.split(f"{ANSWER} ")[1].split()[0]
            right = self.offered[-1] == self.right
            return [f"{ANSWER} {mark} {0 if right else 1} {'' if right else self.said}"]
        self.seen.append(text)
        return ["@uid 0"]


def test_a_host_that_needs_none_is_given_none():
    host, password = Host(free=True), SudoPassword(Secret("right"))
    for _ in range(2):
        assert password.run("a", WORK, ["program"], host) == ["@uid 0"]
    assert host.offered == []
    assert host.seen == ["program", "program"]


def test_it_is_offered_once_and_then_goes_before_each_program():
    host, password = Host(), SudoPassword(Secret("right"))
    for _ in range(2):
        password.run("a", WORK, ["pro", "gram"], host)
    assert host.offered == ["right"]
    first, mark, program = host.seen[0].split("\n")
    assert (first, program) == ("right", "program")
    assert host.seen[1].split("\n")[1] != mark


def test_a_host_that_refuses_it_is_not_offered_it_again():
    host, password = Host("other"), SudoPassword(Secret("right"))
    for _ in range(3):
        with pytest.raises(HostError, match="sudo refuses the password") as caught:
            password.run("a", WORK, [], host)
    assert host.offered == ["right"]
    assert "right" not in str(caught.value).replace("the right one", "")


def at_once(password, hosts):
    def one(name, host):
        try:
            return password.run(name, WORK, [], host)
        except HostError as error:
            return error.message

    jobs = {name: gevent.spawn(one, name, host) for name, host in hosts.items()}
    return {name: job.get() for name, job in jobs.items()}


def test_a_wrong_one_is_given_up_after_two_hosts():
    hosts = {f"h{number}": Host("other") for number in range(50)}
    found = at_once(SudoPassword(Secret("wrong")), hosts)
    assert sum(len(host.offered) for host in hosts.values()) == 2
    assert sum("was not tried" in said for said in found.values()) == 48


def test_one_that_a_host_has_taken_is_offered_to_all():
    hosts = {f"h{number}": Host("right" if number != 7 else "other") for number in range(20)}
    found = at_once(SudoPassword(Secret("right")), hosts)
    assert "sudo refuses the password" in found.pop("h7")
    assert list(found.values()) == [["@uid 0"]] * 19
    assert all(host.offered == ["right"] for host in hosts.values())


@pytest.mark.parametrize(
    ("said", "message", "counts"),
    [
        ("Sorry, try again. sudo: no password was provided", "refuses the password", True),
        ("sudo-rs: Authentication failed, try again.", "refuses the password", True),
        ("ops is not in the sudoers file.", "sudo does not work (ops is", False),
        ("sudo: sorry, you must have a tty to run sudo", "sudo does not work", False),
        ("doas: Authentication failed", "doas refuses the password", True),
        ("doas: Operation not permitted", "doas does not work", False),
        ("doas: asks at a terminal, and there is no script(1)", "takes no password there", False),
        ("sudo: not found, and no doas", "sudo does not work", False),
    ],
)
def test_what_a_host_says_of_it(said, message, counts):
    host, password = Host("other", said=said), SudoPassword(Secret("right"))
    for _ in range(2):
        with pytest.raises(HostError) as caught:
            password.run("a", WORK, [], host)
        assert message in caught.value.message
    assert len(host.offered) == (1 if counts else 2)


def test_the_variable_is_taken_and_no_program_inherits_it(monkeypatch):
    monkeypatch.setenv(sudo_password.VARIABLE, "right")
    try:
        sudo_password.take_variable()
        assert sudo_password.VARIABLE not in sudo_password.os.environ
        host = Host()
        sudo_password.run("a", WORK, [], host)
        assert host.offered == ["right"]
    finally:
        sudo_password.forget()
    monkeypatch.setenv(sudo_password.VARIABLE, "two\nlines")
    with pytest.raises(UsageError, match="more than one line"):
        sudo_password.take_variable()


# ---- the shell ----

SUDO = """\
sudo() {
    while [ "${1#-}" != "$1" ]; do
        case $1 in -p) shift;; -n) return 1;; -S) [ -n "$FREE" ] || read -r given;; esac
        shift
    done
    echo "arguments $*" >&2
    [ -n "$FREE" ] || [ "$given" = "$RIGHT" ] || { echo 'Sorry, try again.' >&2; return 1; }
    "$@"
}
"""


def on(shell, command, stdin, free="", right="it's \\right $x"):
    """Runs a command with a stand-in for sudo before it in PATH."""
    body = SUDO + 'RIGHT=$1 FREE=$2; shift 2\nsudo "$@"\n'
    quoted = body.replace("'", "'\\''")
    program = (
        "d=$(mktemp -d); printf '%s' '" + quoted + "' >$d/body\n"
        f'printf \'#!/bin/sh\\nexec sh %s/body "$RIGHT" "$FREE" "$@"\\n\' $d >$d/sudo\n'
        "chmod 755 $d/sudo; PATH=$d:$PATH; export PATH\n"
        f"RIGHT={shells_quote(right)} FREE={free or chr(39) * 2}; export RIGHT FREE\n"
        f"sh -c {shells_quote(command)} <<'EOF'\n{stdin}\nEOF\nrm -rf $d\n"
    )
    return shells.run(shell, program).stdout.decode().splitlines()


def shells_quote(text):
    return "'" + text.replace("'", "'\\''") + "'"


RIGHT = "it's \\right $x"


@pytest.mark.parametrize("shell", shells.parameters())
@pytest.mark.parametrize(("password", "status"), [(RIGHT, "0"), ("wrong", "1")])
def test_the_offer_in_every_shell(shell, password, status):
    *_, answer = on(shell, offer_password("abc"), password)
    assert answer.split()[:3] == [ANSWER, "abc", status]
    assert ("try again" in answer) is (status == "1")


@pytest.mark.parametrize("shell", shells.parameters())
@pytest.mark.parametrize("free", ["", "yes"])
def test_only_the_program_is_run_whether_sudo_asks_or_not(shell, free):
    program = "echo one\necho two"
    said = on(shell, command_with_password("sh -s", "abc"), f"{RIGHT}\nabc\n{program}", free)
    said = [line for line in said if not line.startswith("arguments ")]
    assert said == ["one", "two", "@exit 0"]
