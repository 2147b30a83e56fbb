"""BuildKit: what stands in buildkitd.toml, when it is restarted, what is refused."""

import pytest
import tomli
from making import desired, observed

from regfleet.engines import ENGINES
from regfleet.engines.buildkit import CERTS, CONFIG
from regfleet.engines.interface import ClientNeeds, Trust
from regfleet.errors import HostError
from regfleet.fleet.clients import Mirror
from regfleet.model.observed import OtherEngine
from regfleet.model.plan import ActivateUnit, EditFile, RemovePath
from regfleet.record import Owned

REG = "reg.example.com:5000"
NEEDS = ClientNeeds(
    trusts=(
        Trust(REG, b"CA\n", plain=False, reason="r1"),
        Trust("plain.example:80", None, plain=True, reason="r2"),
        Trust("public.example", None, plain=False, reason="r3"),
    ),
    mirrors=(Mirror(f"https://{REG}/", "main"), Mirror("http://m.example")),
    reason="client.build",
)
FOREIGN = """\
# ours, since 2019
[worker.oci]
  enabled = true

[registry."docker.io"]
  mirrors = ["theirs.example"] # first
"""
BUILDKIT = ENGINES["buildkit"]


def plan(texts=None, owned=None, engine=None, needs=NEEDS):
    engine = engine or OtherEngine("up", "0.12.5")
    want = desired(engine="buildkit", edits=BUILDKIT.wants(needs).edits)
    seen = observed(texts=texts or {}, others={"buildkit": engine})
    return BUILDKIT.plan(want, seen, owned or Owned(), ())


def test_needs_become_a_file_that_its_parser_reads():
    wants = BUILDKIT.wants(NEEDS)
    assert [file.path for file in wants.files] == [f"{CERTS}/{REG}/ca.crt"]
    edit, activate = plan().configure
    assert tomli.loads(edit.content) == {
        "registry": {
            "docker.io": {"mirrors": [REG, "m.example"]},
            "m.example": {"http": True},
            REG: {"ca": [f"{CERTS}/{REG}/ca.crt"]},
            "plain.example:80": {"http": True},
        }
    }
    assert edit.mode == 0o644
    assert activate == ActivateUnit("buildkit", "buildkit", "restart", stops=False)


def test_nothing_is_needed_for_a_registry_that_every_machine_trusts():
    needs = ClientNeeds((Trust("public.example", None, plain=False, reason="r"),), reason="a")
    assert plan(needs=needs).changes == ()


@pytest.mark.parametrize("text", [None, FOREIGN, "# nothing\n"])
def test_a_second_run_finds_nothing_and_all_of_ours_goes_again(text):
    texts = {} if text is None else {CONFIG: text}
    made = plan(texts)
    edit = made.configure[0]
    lines = iter(edit.content.splitlines())
    assert [line for line in (text or "").splitlines() if line not in lines] == (
        ['  mirrors = ["theirs.example"] # first'] if text == FOREIGN else []
    )
    now = {CONFIG: edit.content}
    assert plan(now, Owned(edits=made.edits)).changes == ()
    seen = observed(texts=now, originals=texts, others={"buildkit": OtherEngine("up", "0.12.5")})
    gone = BUILDKIT.plan(desired(engine=None), seen, Owned(edits=made.edits), ())
    assert gone.configure[0] == RemovePath(CONFIG)
    assert not any(gone.edits.values())


def test_mirrors_of_others_stay_first():
    (edit, _) = plan({CONFIG: FOREIGN}).configure
    assert (
        '  mirrors = ["theirs.example", "reg.example.com:5000", "m.example"] # first'
        in edit.content
    )


def test_one_that_is_down_reads_it_when_it_starts():
    made = plan(engine=OtherEngine("down", "0.12.5"))
    assert [type(step) for step in made.configure] == [EditFile]


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        (OtherEngine("missing"), "no BuildKit (no buildkitd)"),
        (OtherEngine("up", "0.6.4"), "BuildKit 0.6.4 is too old: 0.7"),
    ],
)
def test_refused_with_what_was_found(engine, said):
    with pytest.raises(HostError) as error:
        plan(engine=engine)
    assert said in error.value.message
    assert error.value.hint
