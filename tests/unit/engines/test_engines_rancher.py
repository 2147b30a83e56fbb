"""k3s and RKE2: what stands in registries.yaml, when they are restarted, what is refused."""

import pytest
import yaml
from making import CANARY, desired, login, observed

from regfleet import record
from regfleet.engines import ENGINES
from regfleet.engines.interface import ClientNeeds, Trust
from regfleet.errors import HostError
from regfleet.fleet.clients import Mirror
from regfleet.model.observed import ObservedPath, OtherEngine
from regfleet.model.plan import ActivateUnit, EditFile, RemovePath
from regfleet.record import Owned

REG = "reg.example.com:5000"
NEEDS = ClientNeeds(
    trusts=(
        Trust(REG, b"CA\n", plain=False, reason="r1"),
        Trust("plain.example:80", None, plain=True, reason="r2"),
        Trust("public.example", None, plain=False, reason="r3"),
    ),
    mirrors=(Mirror("https://m.example/"), Mirror("https://m.example/hub")),
    reason="client.build",
    logins=(login(endpoint=REG),),
)
FOREIGN = """\
# ours, since 2019
mirrors:
  docker.io:
    endpoint:
      - "https://theirs.example" # first
configs:
  theirs.example: {auth: {username: them, password: theirs-alone}}
  "docker.io":
"""
BOTH = pytest.mark.parametrize("name", ["k3s", "rke2"])


def found(name="k3s", state="up", version="1.30.4+k3s1", unit=True, **facts):
    unit = {"unit": "k3s-agent" if name == "k3s" else "rke2-server"} if unit else {}
    return {"rancher": OtherEngine(state, version, "", {"product": name, **unit, **facts})}


def registries(name):
    return f"/etc/rancher/{name}/registries.yaml"


def plan(name="k3s", texts=None, owned=None, needs=NEEDS, others=None, **seen):
    engine = ENGINES[name]
    want = desired(engine=name, edits=engine.wants(needs).edits)
    looked = observed(texts=texts or {}, others=found(name) if others is None else others, **seen)
    return engine.plan(want, looked, owned or Owned(), ())


def edit(made):
    (step,) = [step for step in made.configure if isinstance(step, EditFile)]
    return step


@BOTH
def test_needs_become_a_file_that_its_parser_reads(name):
    wants = ENGINES[name].wants(NEEDS)
    certs = f"/etc/rancher/{name}/certs.d/{REG}"
    assert [(file.path, file.mode) for file in wants.files] == [(f"{certs}/ca.crt", 0o444)]
    assert [item.path for item in wants.directories][-1] == certs
    step = edit(plan(name))
    assert (step.path, step.mode, step.foreign) == (registries(name), 0o600, False)
    assert yaml.safe_load(step.content) == {
        "mirrors": {
            "docker.io": {"endpoint": ["https://m.example", "https://m.example/hub/v2"]},
            "plain.example:80": {"endpoint": ["http://plain.example:80"]},
        },
        "configs": {
            REG: {
                "tls": {"ca_file": f"{certs}/ca.crt"},
                "auth": {"username": "ci", "password": CANARY},
            }
        },
    }


@BOTH
def test_the_unit_that_is_there_is_restarted_where_the_file_changes(name):
    made = plan(name)
    unit = "k3s-agent" if name == "k3s" else "rke2-server"
    assert made.configure[-1] == ActivateUnit("rancher", unit, "restart", stops=False)
    assert [change.activation for change in made.changes] == ["restart"]


@pytest.mark.parametrize("others", [found(state="down", unit=False), found("k3s", "down")])
def test_one_that_is_down_reads_it_when_it_starts(others):
    made = plan(others=others)
    assert [type(step) for step in made.configure] == [EditFile]
    assert [change.activation for change in made.changes] == ["none"]


def after(made):
    return Owned(edits=record.parse(record.render({"acme": Owned(edits=made.edits)}))["acme"].edits)


@pytest.mark.parametrize("text", [None, FOREIGN, "mirrors:\n", "# nothing\n"])
def test_a_second_run_finds_nothing_and_all_of_ours_goes_again(text):
    texts = {} if text is None else {registries("k3s"): text}
    made = plan(texts=texts)
    if text:
        lines = iter(edit(made).content.splitlines())
        assert all(line in lines for line in text.splitlines() if line != "mirrors:")
    now = {registries("k3s"): edit(made).content}
    paths = {path: ObservedPath(path, False, 0o600, (0, 0), "") for path in now}
    assert plan(texts=now, owned=after(made), paths=paths).changes == ()
    seen = observed(texts=now, originals=texts, others=found())
    gone = ENGINES["k3s"].plan(desired(engine=None), seen, after(made), ())
    assert gone.configure == (
        RemovePath(registries("k3s")),
        ActivateUnit("rancher", "k3s-agent", "restart", stops=False),
    )
    assert not any(gone.edits.values())


def test_passwords_are_shown_and_recorded_nowhere():
    made = plan(texts={registries("k3s"): FOREIGN})
    text = record.render({"acme": Owned(edits=made.edits)})
    for shown in (text, repr(made), *(change.diff for change in made.changes)):
        assert CANARY not in shown
        assert "theirs-alone" not in shown
    assert "username" in made.changes[0].diff


REFUSED = [
    ("k3s", {}, "no k3s engine (no k3s)"),
    ("rke2", {"rancher": OtherEngine("missing")}, "no RKE2 engine (no rke2)"),
    ("rke2", found("k3s"), "no RKE2 engine (no rke2); there is k3s"),
    ("k3s", found(version="0.9.1"), "k3s 0.9.1 is too old: 1.0"),
]


@pytest.mark.parametrize(("name", "others", "said"), REFUSED)
def test_refused_with_what_was_found(name, others, said):
    with pytest.raises(HostError) as error:
        plan(name, others=others)
    assert said in error.value.message
    assert error.value.hint


@pytest.mark.parametrize("text", ["a: b: c\n", "- a\n", "mirrors: 3\n", "configs: [a]\n"])
def test_a_file_that_cannot_be_edited_is_refused(text):
    with pytest.raises(HostError, match=r"registries\.yaml cannot be edited"):
        plan(texts={registries("k3s"): text})


# Of k3s-io/k3s: issues 10135, 3133, 5502 and 9839.
REPORTED = {
    "configs below mirrors": """mirrors:
  abc.sm.local:
    endpoint:
      - "https://abc.sm.local:443"
  configs:
    "abc.sm.local:443":
      auth:
        username: abc
        password: abc
      tls:
        insecure_skip_verify: TRUE
""",
    "three blanks": """mirrors:
   harbor.dev.cn:
     endpoint:
         - "http://harbor.dev.cn"
configs:
   "harbor.dev.cn":
      auth:
         username: xxxxxx
         password: xxxxxx
""",
    "another word": """mirrros:
  myregistry:
    endpoint:
      - "http://myregistry"
configs:
  "myregistry":
    auth:
      username: myusr
      password: mypasswd
""",
    "rewritten names": """mirrors:
  docker.io:
    endpoint:
      - "https://harbor.virtalus.com/v2"
    rewrite:
      "(.*)": "dockerhub/$1"
configs:
  "harbor.virtalus.com":
    tls:
      insecure_skip_verify: true
""",
    "no schemes": """mirrors:
  pvt-registry.com:
    endpoint:
      - pvt-registry.com
  k8s.gcr.io:
    endpoint:
      - pvt-registry.com
configs:
  pvt-registry.com:
    auth:
      username: xxxx
      password: xxxx
    tls:
      ca_file: /home/user/ca.pem
""",
}


@pytest.mark.parametrize("text", REPORTED.values(), ids=REPORTED)
def test_files_of_bug_reports_keep_what_they_say_and_come_back(text):
    path = registries("k3s")
    made = plan(texts={path: text})
    new = edit(made).content
    before, after = yaml.safe_load(text), yaml.safe_load(new)
    assert after["mirrors"][REG] if REG in after.get("mirrors", {}) else after["configs"][REG]
    for section, entries in before.items():
        for name, entry in entries.items():
            if name == "docker.io":
                assert after[section][name].items() >= {"rewrite": entry["rewrite"]}.items()
                assert set(entry["endpoint"]) <= set(after[section][name]["endpoint"])
            else:
                assert after[section][name] == entry
    owned = Owned(edits=made.edits)
    gone = plan(texts={path: new}, owned=owned, needs=ClientNeeds())
    assert edit(gone).content == text
