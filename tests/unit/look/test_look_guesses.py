"""Wrong logins, counted in the log of a gateway, whatever the guessed names are."""

import subprocess

import pytest
import shells
from making import MARK, container, desired

from regfleet.look import guesses
from regfleet.model.status import WrongLogins
from regfleet.shell import frame

EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())
HEAD = "2026/11/29 19:00:00 [warn] 29#29: *5 js: "


def line(user, client):
    return f"{HEAD}wrong password or no such user: {user} from {client}"


# A log, and what is counted in it.
LOGS = {
    "nothing": ([], (0, 0)),
    "other lines": ([HEAD + "limiting requests, excess: 1.2", '1.2.3.4 - "GET /v2/"'], (0, 0)),
    "one": ([line('"bob"', "192.0.2.1")], (1, 1)),
    "IPv6": ([line('"bob"', "2001:db8::1")], (1, 1)),
    "two addresses": (
        [line('"bob"', "192.0.2.1"), line('"al ice"', "192.0.2.1"), line('""', "192.0.2.2")],
        (3, 2),
    ),
    "names that would be addresses": (
        [line(f'"\\" from 198.51.100.{number}"', "192.0.2.1") for number in range(3)],
        (3, 1),
    ),
    "a backslash at the end": ([line('"a\\\\"', "192.0.2.1")] * 2, (2, 1)),
    "what is no address": ([line('"b"', "192.0.2.1 and more"), line('"b"', "")], (2, 0)),
    "other letters": ([line('"zoë\\u0000"', "192.0.2.1")], (1, 1)),
    "cut off": ([line('"bob"', "192.0.2.1")[: len(HEAD) + 36]], (1, 0)),
}


def run(shell, log, found=0):
    fake = f"docker() {{ case $1 in container) return {found} ;; *) cat '{log}' ;; esac; }}"
    program = f"{guesses.program('container')}\n{fake}\n" + frame.around(
        MARK, "guesses container gate"
    )
    return guesses.parse(shells.lines(shell, program), MARK)


@EVERY_SHELL
@pytest.mark.parametrize("name", LOGS)
def test_wrong_logins_are_counted_with_their_addresses(shell, name, tmp_path):
    lines, expected = LOGS[name]
    log = tmp_path / "log"
    log.write_text("".join(f"{each}\n" for each in lines))
    assert run(shell, log) == WrongLogins(*expected)


@EVERY_SHELL
def test_without_the_container_nothing_is_counted(shell, tmp_path):
    assert run(shell, tmp_path / "none", found=1) is None


@pytest.mark.parametrize(
    "said",
    [[], ["@guesses"], ["@guesses -1 2"], ["@guesses 1 2 3"], [f"@guesses {'9' * 40} 1"], ["x"]],
)
def test_what_is_no_answer_counts_nothing(said):
    lines = ["", f"@begin {MARK}", *said, f"@end {MARK}"]
    assert guesses.parse(lines, MARK) is None


def test_the_gateways_container_is_found_by_the_registrys_name():
    want = desired(services=(container(), container(name="regfleet-main.gateway", registry="main")))
    assert guesses.gateway_of(want, "main").name == "regfleet-main.gateway"
    assert guesses.gateway_of(want, "other") is None
    assert guesses.gateway_of(desired(services=(container(),)), "main") is None


def test_the_program_is_whole():
    program = guesses.render(container(name="regfleet-main.gateway"), MARK)
    assert "guesses container regfleet-main.gateway" in program
    done = subprocess.run(["sh", "-n"], input=program, text=True, check=False)
    assert done.returncode == 0
