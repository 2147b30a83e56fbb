"""The next command: what failed, and nothing that is done already."""

import shlex

import pytest
from reports import failed, host, report

from regfleet.cli.again import again
from regfleet.model.checks import Check

FAILED_CHECK = (Check("main/pull", "failed"),)
GOOD = host("good", status="changed")
BAD = failed("bad")
UNTESTED = host("untested", status="changed", untested=True)
NOT_SMOKED = host("smoky", status="changed", checks=FAILED_CHECK)

CASES = [
    # what was typed, hosts, what to type
    ("apply f.toml --yes", [GOOD, BAD], "apply f.toml --yes --limit bad"),
    ("apply f.toml", [BAD], "apply f.toml"),
    ("apply f.toml --limit web*", [BAD], "apply f.toml --limit 'web*'"),
    ("apply f.toml --limit web* -y --exclude=x --limit=y", [GOOD, BAD],
     "apply f.toml -y --limit bad"),
    ("apply --state-dir s --parallel 3 f.toml", [GOOD, BAD],
     "apply --state-dir s --parallel 3 f.toml --limit bad"),
    ("apply f.toml", [GOOD, *[failed(f"w{n}") for n in range(50)]],
     "apply f.toml --limit 'w[0:49]'"),
    ("apply f.toml --limit all", [GOOD, *[failed(f"w{n * n}") for n in range(99)]],
     "apply f.toml --limit all"),
    ("apply f.toml -y --diff --junit j", [GOOD, NOT_SMOKED],
     "smoke f.toml --junit j --limit smoky"),
    ("apply -vy f.toml", [NOT_SMOKED], "smoke -v f.toml"),
    ("apply f.toml -y --smoke", [GOOD, BAD, NOT_SMOKED],
     "apply f.toml -y --limit bad,smoky --smoke"),
    ("apply f.toml --no-smoke", [GOOD, BAD], "apply f.toml --no-smoke --limit bad"),
    ("apply f.toml -y", [GOOD, BAD, UNTESTED], "apply f.toml -y --limit bad,untested --smoke"),
    ("smoke f.toml", [GOOD, NOT_SMOKED], "smoke f.toml --limit smoky"),
    ("destroy f.toml --delete-data", [GOOD, BAD], "destroy f.toml --delete-data --limit bad"),
    ("rollback f.toml", [GOOD, BAD], "rollback f.toml --limit bad"),
    ("rollback f.toml -y --to 7", [GOOD, NOT_SMOKED], "smoke f.toml --limit smoky"),
    ("rollback f.toml --generation=3", [NOT_SMOKED], "smoke f.toml"),
    ("up --endpoint x", [BAD], "up --endpoint x"),
    ("apply 'my fleet.toml'", [GOOD, BAD], "apply 'my fleet.toml' --limit bad"),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "hosts", "expected"), CASES)
def test_the_next_command(typed, hosts, expected):
    assert again(shlex.split(typed), report(*hosts)) == f"regfleet {expected}"


def test_a_rollback_never_takes_hosts_further_back_that_are_back():
    hosts = [GOOD, *[failed(f"w{n * n}") for n in range(99)]]
    assert "w9604" in again(["rollback", "f.toml"], report(*hosts))
