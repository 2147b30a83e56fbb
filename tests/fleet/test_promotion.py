"""An image goes from stage to stage on real hosts: gates, mounts, tags to go back to, the log."""

import getpass
import json
from collections import Counter

import pytest
from test_replication import push

from regfleet.replication import engine

BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
users.ci.password = "generate"

[promotion.production]
from = { registry = "main", prefix = "staging/" }
to = { registry = "main", prefix = "prod/" }
keep_previous = 2
login = { main = "ci" }
"""


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("reg1=registry.test")


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def main(twin, state):
    """How this machine reaches the registry, once it is there."""
    return lambda: engine.Registry(
        {
            "url": "https://registry.test:5000",
            "connect": f"{twin.hosts['reg1'].address}:5000",
            "ca": (state / "ca.crt").read_text(),
            "user": "ci",
            "password": (state / "passwords/main/ci").read_text().strip(),
        },
        engine.Clock(900),
    )


@pytest.fixture
def applied(twin, write_fleet, regfleet, state):
    done = regfleet("apply", write_fleet(twin, BODY), "--yes", "--state-dir", state)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def run(twin, write_fleet, regfleet, state):
    """`run("promote", "web:1", more)` with what is added to the fleet file."""

    def call(command, *words, more=""):
        fleet = write_fleet(twin, BODY + more.replace("$", "$$"))
        done = regfleet(command, fleet, *words, "--json", "--state-dir", state)
        return done, json.loads(done.stdout)

    return call


@pytest.mark.usefixtures("applied")
def test_an_image_goes_to_production_by_mounts_and_comes_back(main, run):
    registry = main()
    digests = []
    for content in (b"one", b"two", b"three", b"four"):
        push(registry, "staging/web", "stable", content * 50_000)
        digests.append(registry.digest("staging/web", "stable"))
        planned = run("promote", "production", "web:stable", "--dry-run")[1]
        assert (planned["result"], planned["digest"]) == ("planned", digests[-1])
        assert planned["platforms"] == ["linux/amd64"]
        done, found = run("promote", "production", "web:stable", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert found["result"] == "promoted"
        assert "0 copied" in done.stderr
        assert registry.digest("prod/web", "stable") == digests[-1]
    assert run("promote", "production", "web:stable", "--yes")[1]["result"] == "unchanged"
    tags = {tag: registry.digest("prod/web", tag) for tag in registry.tags("prod/web")}
    assert tags == {
        "stable": digests[3], "stable.rollback-1": digests[2], "stable.rollback-2": digests[1],
    }  # fmt: skip
    assert run("demote", "production", "web:stable", "--yes")[1]["result"] == "demoted"
    tags = {tag: registry.digest("prod/web", tag) for tag in registry.tags("prod/web")}
    assert tags == {"stable": digests[2], "stable.rollback-1": digests[1]}


def test_a_gate_that_fails_changes_nothing(main, run):
    registry = main()
    before = registry.digest("prod/web", "stable")
    me = getpass.getuser()
    for more, gate in (
        ('min_age = "24h"\n', "min_age"),
        ("checks = ['test \"$IMAGE\" = wrong']\n", 'test "$IMAGE" = wrong'),
        ('approve = ["somebody-else"]\n', "approve"),
    ):
        done, found = run("promote", "production", "web:stable", "--yes", more=more)
        assert (done.returncode, found["result"], found["ok"]) == (1, "refused", False)
        (shut,) = [each for each in found["gates"] if not each["passed"]]
        assert shut["name"] == gate
        assert registry.digest("prod/web", "stable") == before
    image = "registry.test:5000/staging/web@sha256:"
    check = f"checks = ['echo \"$IMAGE\" | grep -q {image} && echo fine']\n"
    done, found = run("promote", "production", "web:stable", "--yes", more=check)
    assert done.returncode == 0, done.stdout + done.stderr
    assert found["gates"][0]["said"] == "fine"
    push(registry, "staging/web", "later", b"approved")
    more = f'approve = ["{me}"]\n'
    assert (
        run("promote", "production", "web:later", "--approve", more=more)[1]["result"] == "approved"
    )
    assert run("promote", "production", "web:later", "--yes", more=more)[1]["result"] == "promoted"


def test_the_log_says_who_did_what_and_whether_it_is_whole(twin, write_fleet, regfleet, state):
    fleet = write_fleet(twin, BODY)
    done = regfleet("history", fleet, "--promotions", "--json", "--state-dir", state)
    assert done.returncode == 0, done.stderr
    log = json.loads(done.stdout)
    actions = [each["action"] for each in log["promotions"]]
    assert actions == [
        *["promoted"] * 4,
        "demoted",
        *["refused"] * 3,
        "promoted",
        "approved",
        "promoted",
    ]
    assert all(each["who"].startswith(f"{getpass.getuser()}@") for each in log["promotions"])
    done = regfleet("history", fleet, "--json", "--state-dir", state)
    images = json.loads(done.stdout)["images"]
    assert Counter(each["command"] for each in images) == {"promote": 6, "demote": 1}
    assert all(each["ok"] for each in images)
    file = state / "promotions.jsonl"
    file.write_text(file.read_text().replace("refused", "approved", 1))
    done = regfleet("history", fleet, "--promotions", "--state-dir", state)
    assert done.returncode == 1
    assert "the chain is broken: line 7" in done.stdout
