"""The wanted state's vocabulary: what a specification notices, and what does not print."""

from dataclasses import replace

import pytest
from making import CANARY, container, login

from regfleet.model.files import File
from regfleet.model.service import ContainerRun, Image, registry_probe

MAIN = container(image=Image("registry:2", None, "ab" * 32))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"image": Image("registry:3", None, "ab" * 32)},
        {"image": Image("registry:2", None, "cd" * 32)},
        {"run": ContainerRun(("--publish=5001:5000",), MAIN.run.command)},
        {"run": ContainerRun(MAIN.run.arguments, ("serve",))},
        {"inputs": ("bb",)},
        {"inputs": ()},
    ],
)
def test_a_new_specification(changes):
    assert replace(MAIN, **changes).specification != MAIN.specification


@pytest.mark.parametrize(
    "changes", [{"reason": "x"}, {"registry": "x"}, {"probe": registry_probe(tls=False)}]
)
def test_the_same_specification(changes):
    assert replace(MAIN, **changes).specification == MAIN.specification


def test_a_specification_is_a_label_and_ends_with_the_archives_mark():
    assert MAIN.specification.endswith(f".{'ab' * 8}")
    assert MAIN.specification.isascii()
    assert " " not in MAIN.specification
    assert container().specification.endswith(".")


def test_contents_and_passwords_do_not_print():
    assert CANARY not in repr(File("/x", CANARY.encode(), 0o600, "why", secret=True))
    assert CANARY not in repr(login())


def test_a_digest_is_sha256():
    assert File("/x", b"", 0o644, "").digest.startswith("e3b0c44298fc1c14")
