"""The how-tos' commands, in the order of a page, each with the fleet file that stands before it."""

import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from regfleet.fleet.hosts import expand

PLACE = Path(__file__).resolve().parents[1] / "docs" / "how-to"
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
HOSTS = re.compile(r"^hosts = \[(.*?)\]$", re.MULTILINE)
SSH = re.compile(r"^\[ssh\]\n(?:[^\[\n].*\n)*", re.MULTILINE)
QUESTION = "[y/N]:"


class Step(NamedTuple):
    """A command of a page.

    Attributes:
        key: its line; from its second time on with the number behind it: `regfleet plan x (2)`.
        line: as a shell reads it.
        fleet: the text of the fleet file that stands before it in the page; empty without one.
    """

    key: str
    line: str
    fleet: str


def pages() -> dict[str, list[Step]]:
    """By the page's name, without `.md`; pages without any command are left out."""
    found = {page.stem: steps(page.read_text("utf-8")) for page in sorted(PLACE.glob("*.md"))}
    return {name: commands for name, commands in found.items() if commands}


def steps(text: str) -> list[Step]:
    """The commands of a page: what follows `$ ` in blocks of the language console."""
    made, fleet = [], ""
    for language, block in FENCE.findall(text):
        if language == "toml":
            fleet = block
        for line in re.findall(r"^ *\$ ((?:.*\\\n)*.*)$", block, re.MULTILINE):
            if language != "console":
                continue
            times = 1 + sum(each.line == line for each in made)
            made.append(Step(line if times == 1 else f"{line} ({times})", line, fleet))
    return made


def on(fleet: str, roles: dict[str, str], head: str, named: str = "") -> str:
    """A page's fleet file for the hosts of a test.

    Args:
        fleet: with hosts as the page names them.
        roles: the addresses that the page's names stand for.
        head: the table `[ssh]`; what the page declares in its own besides stays.
        named: the page's commands. Of a range the first host is taken, and those named here.
    """

    def hosts(match: re.Match[str]) -> str:
        names = []
        for item in re.findall(r'"(.*?)"', match[1]):
            first, *others = expand(item)
            names += [first, *(name for name in others if name in named)]
        items = [
            f'{{ name = "{name}", address = "{roles[name]}" }}' for name in names if name in roles
        ]
        assert items, f"no host of the test stands for any of {match[1]}"
        return f"hosts = [{', '.join(items)}]"

    own = SSH.search(fleet)
    declared = {line.split(" = ")[0] for line in head.splitlines()}
    for line in own[0].splitlines()[1:] if own else ():
        if line and line.split(" = ")[0] not in declared:
            head += f"{line}\n"
    return f"{HOSTS.sub(hosts, SSH.sub('', fleet))}\n{head}"


def run(
    line: str, place: Path, environment: dict[str, str], seconds: float = 300
) -> tuple[int, str]:
    """A line by bash at a terminal, where each question is answered with yes; code and output."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(place)
        os.execvpe("bash", ["bash", "-c", line], environment)  # noqa: S606 - it is the shell
    text, answered, deadline = "", 0, time.monotonic() + seconds
    while True:
        if time.monotonic() > deadline:
            os.killpg(process, signal.SIGKILL)
            text += f"\n(killed after {seconds} s)"
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            text += os.read(terminal, 65536).decode(errors="replace")
        except OSError:  # nobody has the other side open any more
            break
        if text.count(QUESTION) > answered:
            answered += 1
            os.write(terminal, b"y\n")
    status = os.waitpid(process, 0)[1]  # first: who closes it hangs up
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), text


def openssl(place: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=place, check=True, capture_output=True)
