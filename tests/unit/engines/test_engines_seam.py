"""The names of engines stand in `engines/` and the schema alone.

Comments and docstrings are for people and may say them. Whatever else does is listed here, with
its reason: either the word is not the engine's, or it is the engine that registries run on.
"""

import ast
import re
from pathlib import Path

import pytest

from regfleet.engines import ENGINES, REGISTRY_ENGINE
from regfleet.fleet.engine_rules import engines

ROOT = Path(__file__).parents[3] / "src" / "regfleet"
ROOMS = {
    "engines/": "the engines themselves",
    "runtimes/": "what runs registries",
    "services/": "what runs registries",
    "rehearse/": "boots throwaway hosts in containers, and needs a recipe for each engine",
}
NAMES = {*ENGINES, *(engine.shell for engine in ENGINES.values())}
WORD = re.compile(
    rf"(?<![A-Za-z])({'|'.join(sorted(map(re.escape, NAMES), reverse=True))})(?![A-Za-z])"
)
# Names of other things in which the word is a part.
OTHERS = re.compile(
    r"[a-z0-9-]*\.?docker\.io"  # Docker Hub
    r"|serves_docker_hub"
    r"|application/vnd\.docker\.[a-z.+0-9-]*"  # media types
    r"|docker-(content-digest|distribution-api-version)"  # headers of the registry's API
    r"|docker-registry|/?docker/registry\b"  # the registry's package and its own directories
    r"|docker-credential-"  # the protocol of credential helpers, which several engines speak
    r"|\bis_docker\b"  # what engines say of themselves
)
QUOTED = re.compile(r"`[^`]*`?")  # a command or a name, in a text for people
COMMANDS = "says to people what they may type"
HOST = "asks the engine that registries run on"
DAEMON = "daemon.json and dockerd's flags, which the look tells of beside the other engines"
# File to reason.
ALLOWED = {
    "cli/up.py": "asks the engine of this machine, before anything is declared",
    "doctor/hosts.py": DAEMON,
    "fleet/check/projects.py": "the runtime of that name, which can run a gateway",
    "jobs/restore.sh": "the directories of a registry's storage",
    "look/foreign.sh": HOST,
    "look/import.sh": HOST,
    "look/parse.py": DAEMON,
    "look/ports.py": HOST,
    "look/ports.sh": HOST,
    "model/desired.py": "the directories of a registry's storage",
    "model/observed.py": DAEMON,
    "model/plan.py": DAEMON,
    "record.py": "reads records of 0.1, which had daemon.json apart from other files",
    "report/access_text.py": COMMANDS,
    "touch/program/4-adoption.sh": HOST,
    "touch/program/4-services.sh": HOST,
    "touch/render.py": DAEMON,
    "touch/program/4-storage.sh": "the directories of a registry's storage",
    "touch/program/6-transaction.sh": HOST,
}


def of_python(text):
    tree = ast.parse(text)
    docs = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docs:
            yield QUOTED.sub("", node.value)
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.alias):
            yield node.name


def of_shell(text):
    for line in text.splitlines():
        yield QUOTED.sub("", re.sub(r"(^|\s)#.*", "", line))


def named(path):
    """The engines that a file names."""
    read = of_python if path.suffix == ".py" else of_shell
    texts = (OTHERS.sub("", text) for text in read(path.read_text()))
    return {word for text in texts for word in WORD.findall(text)}


FILES = {
    str(path.relative_to(ROOT)): path
    for path in sorted(ROOT.rglob("*"))
    if path.suffix in (".py", ".sh") and not str(path.relative_to(ROOT)).startswith(tuple(ROOMS))
}


def test_engines_are_named_in_their_own_room_and_the_schema_alone():
    assert len(FILES) > 150
    assert "docker.host.sh" in (path.name for path in (ROOT / "engines").iterdir())
    found = {name: words for name, path in FILES.items() if (words := named(path))}
    assert {name: words for name, words in found.items() if name not in ALLOWED} == {}
    # What the listed ones may name is that one engine, its store, which is of another's make, and
    # the client that asks a registry where the host has no curl.
    assert set().union(*found.values()) <= {REGISTRY_ENGINE, "containerd", "podman"}


@pytest.mark.parametrize(
    "text",
    ['x = "podman"', "x.k3s_look", 'y = f"{a}/cri-o"', "from a.buildkit import b", "import x.rke2"],
)
def test_a_name_is_seen(tmp_path, text):
    (tmp_path / "a.py").write_text(text)
    assert len(named(tmp_path / "a.py")) == 1


def test_comments_and_docstrings_may_name_them(tmp_path):
    (tmp_path / "a.py").write_text(
        '"""As podman."""\n# containerd\nx = "docker.io, `docker login`"\n'
    )
    (tmp_path / "a.sh").write_text("# podman\nsay x # k3s\n")
    assert named(tmp_path / "a.py") | named(tmp_path / "a.sh") == set()
    (tmp_path / "a.sh").write_text("podman_look\n")
    assert named(tmp_path / "a.sh") == {"podman"}


def test_the_schema_has_rules_for_every_engine():
    assert engines().keys() == ENGINES.keys()
    for name, rules in engines().items():
        assert (rules.logins == "none") == bool(rules.login_instead), name
        assert rules.images or rules.account, name
        assert not (rules.logins == "accounts" and not ENGINES[name].login_file), name
