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
containerd_run registry.test:5000/a:1 token
echo "code $?"
printf '%s\n' "$said" | sed 's/^/said /'
ls "$private"
"""


@pytest.mark.parametrize("shell", shells.parameters())
@pytest.mark.parametrize("code", ["0", "1"])
@pytest.mark.parametrize("warned", ["", "yes"])
def test_what_a_container_says_is_read_from_a_file_that_goes_again(shell, tmp_path, code, warned):
    own = f"PRIVATE={tmp_path}/own CODE={code} WARNED={warned}"
    said = shells.lines(shell, f"{render.program('containerd')}\n{own}\n{LATE}")
    assert not (tmp_path / "own").exists()
    warning = ["said ctr: a warning"] if warned else []
    assert [line for line in said if line != "said "] == [f"code {code}", *warning, "said token"]


@pytest.mark.parametrize("shell", shells.parameters())
def test_where_there_is_no_room_for_the_file_that_is_told(shell):
    call = 'PRIVATE=/proc/a ROOMY=/proc/b\ncontainerd_run a b\necho "$? $said"'
    (said,) = shells.lines(shell, f"{render.program('containerd')}\nsaid=stale\n{call}\n")
    assert said == "1 no directory can be made in /proc/b: it has to be root's alone, and writable"


PROGRESS = """\
The push refers to repository [registry.test:5000/smoke]
5f70bf18a086: Preparing
5f70bf18a086: Waiting
a3ed95caeb02: Retrying in 5 seconds
a3ed95caeb02: Retrying in 1 second
a3ed95caeb02: Pushed
"""


@pytest.mark.parametrize("shell", shells.parameters())
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (f"{PROGRESS}unauthorized: no", "unauthorized: no"),
        (f"{PROGRESS * 100}unexpected HTTP status: 500", "unexpected HTTP status: 500"),
        ("early " * 200 + "dial tcp: refused", ("early " * 200 + "dial tcp: refused")[-600:]),
        ("a3ed95caeb02: Retrying in 5 seconds", "a3ed95caeb02: Retrying in 5 seconds"),
        ('level=warning msg="failed, retrying in 2s"\nwhy\n\n', "why"),
        ("one\r\ntwo\tthree", "one two three"),
    ],
)
def test_of_what_an_engine_said_the_end_is_kept_without_progress(shell, words, told):
    program = f"{render.program('containerd')}\nlast_words <<'END'\n{words}\nEND\n"
    (said,) = shells.lines(shell, program)
    assert said.strip() == told.strip()
