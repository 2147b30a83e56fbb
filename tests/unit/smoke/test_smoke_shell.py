"""How the smoke test hears what a container says that ctr starts, in each shell."""

import pytest
import shells

from regfleet.smoke import render

# ctr that came too late to the container's pipe: what it said is in the shim's file alone.
LATE = r"""
ctr() {
  while [ "$1" != --log-uri ]; do shift; done
  file=${2#file://}
  shift 4
  if [ -n "$WARNED" ]; then echo 'ctr: a warning'; fi
  "$@" >"$file"
  return "$CODE"
}
scratch=$(mktemp -d)
TMPDIR=$scratch; export TMPDIR
containerd_run registry.test:5000/a:1 token
echo "code $?"
printf '%s\n' "$said" | sed 's/^/said /'
ls "$scratch"
"""


@pytest.mark.parametrize("shell", shells.parameters())
@pytest.mark.parametrize("code", ["0", "1"])
@pytest.mark.parametrize("warned", ["", "yes"])
def test_what_a_container_says_is_read_from_a_file_that_goes_again(shell, code, warned):
    program = f"{render.program('containerd')}\n{LATE}"
    said = shells.lines(shell, program, CODE=code, WARNED=warned)
    warning = ["said ctr: a warning"] if warned else []
    assert [line for line in said if line != "said "] == [f"code {code}", *warning, "said token"]


@pytest.mark.parametrize("shell", shells.parameters())
def test_where_there_is_no_room_for_the_file_that_is_told(shell):
    call = 'TMPDIR=/nonexistent; export TMPDIR\ncontainerd_run a b\necho "$? $said"'
    (said,) = shells.lines(shell, f"{render.program('containerd')}\nsaid=stale\n{call}\n")
    assert said.startswith("1 mktemp: ")
    assert said.endswith("No such file or directory")  # busybox does not say which
