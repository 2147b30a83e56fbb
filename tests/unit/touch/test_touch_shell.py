"""The touch's file transaction, run for real on files made for it; no engine takes part."""

import base64
import os
import subprocess

import pytest
import shells

from regfleet.model.desired import File
from regfleet.model.plan import EditFile, PutFile, RemovePath
from regfleet.touch import outcome, protocol, render

EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())

# What belongs to root, or to the whole machine, is left out; the rest is as it is on a host.
HARMLESS = "chown() { :; }\nsync() { :; }\ndocker() { return 127; }\nsystemctl() { return 127; }\n"


class Place:
    """A directory for the touch's own files and one for the host's."""

    def __init__(self, shell, folder):
        self.shell, self.base, self.host = shell, folder / "base", folder / "host"
        self.runs = folder / "runs"
        self.host.mkdir()
        self.number = 0

    def touch(self, *steps, stand_ins=""):
        """Run steps as a rendered plan does; gives the outcome."""
        program = protocol.program("docker")
        assert "\nBASE=/var/lib/regfleet\n" in program
        program = program.replace("\nBASE=/var/lib/regfleet\n", f"\nBASE={self.base}\n")
        assert "\nRUNS=/run/regfleet\n" in program
        program = program.replace("\nRUNS=/run/regfleet\n", f"\nRUNS={self.runs}\n")
        self.number += 1
        mark = f"run-1-{self.number}"
        body = "\n".join(f"  step {step}" for step in steps).replace(BEGIN, f"begin {mark} me")
        text = f"{program}\n{HARMLESS}{stand_ins}\nmark={mark}\n"
        text += f"plan() {{\n{body}\n}}\ntouch_host </dev/null\n"
        said = shells.run(self.shell, text).stdout.decode().splitlines()
        return outcome.parse(said, mark)

    def ask(self, mark=""):
        """Ask how the last touch went, or the one of a mark."""
        mark = mark or f"run-1-{self.number}"
        program = protocol.question(mark)
        for name, path in (("base", "/var/lib/regfleet"), ("runs", "/run/regfleet")):
            assert f"\n{name}={path}\n" in program
            program = program.replace(f"\n{name}={path}\n", f"\n{name}={getattr(self, name)}\n")
        return outcome.parse(shells.run(self.shell, program).stdout.decode().splitlines(), mark)

    def put(self, name, content, mode="0644", foreign="0"):
        file = File(f"{self.host}/{name}", content.encode(), int(mode, 8), "why")
        return rendered(PutFile(file, foreign=foreign == "1"))

    def drop(self, name):
        return rendered(RemovePath(f"{self.host}/{name}"))

    def edit(self, name, content, mode="0644", foreign=True):
        return rendered(EditFile(f"{self.host}/{name}", content, int(mode, 8), foreign))

    def files(self):
        return {
            str(path.relative_to(self.host)): path.read_text()
            for path in self.host.rglob("*")
            if path.is_file()
        }


def rendered(step):
    (call,) = render.before_swap(step)
    return call


def encoded(content):
    return base64.b64encode(content.encode()).decode()


RECORD = f"record {encoded('{}')}"
BEGIN = "begin run-1 me"
FAILING = "false"


@pytest.fixture(params=shells.parameters())
def place(request, tmp_path):
    return Place(request.param, tmp_path)


def test_files_go_into_place(place):
    (place.host / "old").write_text("before")
    done = place.touch(
        BEGIN, place.put("old", "after", "0600"), place.put("sub/new", "new"), RECORD, "swap"
    )
    assert done == outcome.Outcome("changed")
    assert place.files() == {"old": "after", "sub/new": "new"}
    assert (place.host / "old").stat().st_mode & 0o777 == 0o600
    assert (place.host / "sub" / "new").stat().st_mode & 0o777 == 0o644
    assert (place.base / "owned.json").read_text() == "{}"


def test_selinux_is_told_what_is_new_and_keeps_what_containers_mount(place):
    told = place.host.parent / "told"
    stand_ins = f'labels=yes\nrestorecon() {{ echo "$1" >>{told}; return 1; }}\n'
    stand_ins += "label /etc/regfleet/main/a\n"
    steps = [BEGIN, f"directory {place.host}/sub 0755", place.put("sub/new", "new"), RECORD, "swap"]
    assert place.touch(*steps, stand_ins=stand_ins).result == "changed"
    made = [place.host / "sub", place.base / "owned.json", place.host / "sub" / "new"]
    assert told.read_text().split() == list(map(str, made))
    assert place.touch(BEGIN, place.put("sub/new", "newer"), RECORD, "swap").result == "changed"
    assert len(told.read_text().split()) == 3  # there is no SELinux here


def test_other_programs_have_the_usual_umask(place):
    told = place.host / "told"
    call = f'usually sh -c "umask >>{told}; exit 3"; echo $? >>{told}; umask >>{told}'
    assert place.touch(BEGIN, f"eval '{call}'").result == "unchanged"
    assert told.read_text().split() == ["0022", "3", "0077"]


@pytest.mark.parametrize("when", ["before the swap", "after it"])
def test_a_failure_gives_the_host_back(place, when):
    (place.host / "old").write_text("before")
    (place.host / "old").chmod(0o640)
    (place.host / "gone").write_text("still here")
    steps = [BEGIN, place.put("old", "after"), place.put("new", "new"), place.drop("gone"),
             RECORD]  # fmt: skip
    steps += [FAILING, "swap"] if when == "before the swap" else ["swap", FAILING]
    done = place.touch(*steps)
    assert done.result == ("failed" if when == "before the swap" else "rolled-back")
    assert place.files() == {"old": "before", "gone": "still here"}
    assert (place.host / "old").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(("mode", "stays"), [("0644", 0o640), ("0600", 0o600)])
def test_the_mode_of_a_file_that_others_write_too(place, mode, stays):
    """It stays, unless a secret comes into it."""
    (place.host / "old").write_text("before")
    (place.host / "old").chmod(0o640)
    edits = [place.edit(name, "after", mode) for name in ("old", "new")]
    place.touch(BEGIN, *edits, RECORD, "swap")
    assert place.files() == {"old": "after", "new": "after"}
    assert (place.host / "old").stat().st_mode & 0o777 == stays
    assert (place.host / "new").stat().st_mode & 0o777 == int(mode, 8)
    place.touch(BEGIN, place.drop("old"), place.drop("new"), "record ''", "swap")
    assert place.files() == {"old": "before"}
    assert (place.host / "old").stat().st_mode & 0o777 == 0o640


def test_what_a_killed_touch_left_beside_a_target_is_removed_by_the_next(place):
    """Wherever that is: no list of directories has to know of it."""
    (place.host / ".regfleet.toml").write_text("somebody's")
    killed = place.touch(BEGIN, place.put("deep/er/new", "secret"), "kill -KILL $$")
    assert killed.result != "changed"
    left = [name for name in place.files() if name.startswith("deep/er/.regfleet.")]
    assert len(left) == 1
    assert place.touch(BEGIN, place.put("other", "x"), RECORD, "swap").result == "changed"
    assert place.files() == {"other": "x", ".regfleet.toml": "somebody's"}
    assert not (place.base / "beside").exists()


def test_a_text_that_its_engine_does_not_accept_never_gets_there(place):
    """It is judged where it was written, beside its target."""
    (place.host / "old").write_text("before")
    judge = 'picky_accepts() { grep -q fine "$1" || fail "refuses $2"; }; '
    for text, result in (("fine", "changed"), ("bad", "failed")):
        done = place.touch(
            BEGIN,
            place.edit("old", text),
            f"eval '{judge} accepted picky /etc/old'",
            RECORD,
            "swap",
        )
        assert done.result == result
        assert done.error == ("refuses /etc/old" if text == "bad" else "")
    assert place.files() == {"old": "fine"}


def test_what_changed_since_the_plan_is_left_alone(place):
    (place.host / "old").write_text("before")
    done = place.touch(
        BEGIN, f"expect {place.host}/old absent", place.put("old", "after"), RECORD, "swap"
    )
    assert done.result == "failed"
    assert "changed since the plan was made" in done.error
    assert place.files() == {"old": "before"}


def test_nothing_of_ours_is_left_once_nothing_is_owned(place):
    place.touch(BEGIN, place.put("new", "new"), RECORD, "swap")
    done = place.touch(BEGIN, place.drop("new"), "record ''", "swap")
    assert done.result == "changed"
    assert place.files() == {}
    assert not place.base.exists()


def test_a_foreign_file_comes_back_when_ours_goes(place):
    (place.host / "ca.crt").write_text("theirs")
    place.touch(BEGIN, place.put("ca.crt", "ours", foreign="1"), RECORD, "swap")
    assert place.files() == {"ca.crt": "ours"}
    place.touch(BEGIN, place.put("ca.crt", "ours too"), RECORD, "swap")
    place.touch(BEGIN, place.drop("ca.crt"), "record ''", "swap")
    assert place.files() == {"ca.crt": "theirs"}


def test_a_foreign_file_comes_back_even_after_a_removal_that_was_taken_back(place):
    (place.host / "ca.crt").write_text("theirs")
    place.touch(BEGIN, place.put("ca.crt", "ours", foreign="1"), RECORD, "swap")
    failed = place.touch(BEGIN, place.drop("ca.crt"), RECORD, "swap", FAILING)
    assert failed.result == "rolled-back"
    assert place.files() == {"ca.crt": "ours"}
    place.touch(BEGIN, place.drop("ca.crt"), "record ''", "swap")
    assert place.files() == {"ca.crt": "theirs"}


def test_the_foreign_file_of_today_comes_back_not_that_of_a_failed_touch(place):
    place.touch(BEGIN, place.put("other", "ours"), RECORD, "swap")
    (place.host / "ca.crt").write_text("theirs")
    put = place.put("ca.crt", "ours", foreign="1")
    assert place.touch(BEGIN, put, RECORD, "swap", FAILING).result == "rolled-back"
    (place.host / "ca.crt").write_text("theirs, renewed")
    place.touch(BEGIN, put, RECORD, "swap")
    place.touch(BEGIN, place.drop("ca.crt"), RECORD, "swap")
    assert place.files() == {"other": "ours", "ca.crt": "theirs, renewed"}


def test_a_touch_that_finds_another_at_work_leaves_its_files(place):
    if not os.access("/usr/bin/flock", os.X_OK):
        pytest.skip("flock is not installed")
    place.base.mkdir()
    (place.base / "lock").write_text("somebody")
    (place.base / "lock.pid").symlink_to(str(os.getpid()))  # where the host has no flock
    (place.base / "generations" / "1").mkdir(parents=True)
    with subprocess.Popen(
        ["flock", place.base / "lock", "sh", "-c", "echo held; read -r _"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        done = place.touch(BEGIN, place.put("new", "new"), RECORD, "swap")
        holder.stdin.write(b"\n")
        holder.stdin.close()
    assert done.result == "failed"
    assert "another regfleet run is at work here: somebody" in done.error
    assert place.files() == {}
    assert (place.base / "generations" / "1").is_dir()


def test_the_way_back_goes_on_behind_a_file_that_cannot_be_restored(place):
    for name in ("one", "two", "three"):
        (place.host / name).write_text("before")
    puts = [place.put(name, "after") for name in ("one", "two", "three")]
    spoil = f'rm "$saved/files{place.host}/one"'
    done = place.touch(BEGIN, *puts, RECORD, "swap", f"eval '{spoil}'", FAILING)
    assert done.result == "failed"
    assert place.files() == {"one": "after", "two": "before", "three": "before"}


def test_services_come_back_last_first(place):
    """The first stood aside for its port, which the last still holds."""
    place.touch(
        BEGIN, "generation", "eval 'printf \"old\\nnew\\n\" >\"$saved/services\"'",
        f"eval 'back_service() {{ echo \"$1\" >>{place.host}/order; }}'", FAILING,
    )  # fmt: skip
    assert place.files() == {"order": "new\nold\n"}


# ---- asked how it went ----

NO_RECORD = "the host has no record of this run"


GIVES = """
has_address() { [ ! -e "$1.gone" ]; }
nap() { if [ "$(cat "$mark_file")" = 1 ]; then : >"$address.gone"; fi; }
"""


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_an_address_is_given_away_and_may_come_again_at_the_end(place, ends):
    mark, address, told = (place.host / name for name in ("drain", "address", "told"))
    mark.write_text("0\n")
    stand_ins = f"mark_file={mark} address={address}\n{GIVES}"
    tell = f"eval 'echo drained $(cat {mark}) >>{told}'"
    steps = [BEGIN, RECORD, "swap", f"drain {mark} {address}", tell]
    more = [FAILING] if ends == "badly" else []
    done = place.touch(*steps, *more, stand_ins=stand_ins)
    assert done.result == ("rolled-back" if ends == "badly" else "changed")
    assert told.read_text() == "drained 1\n"
    assert (place.host / "address.gone").exists()
    assert mark.read_text() == "0\n"


def test_an_address_that_nobody_takes_holds_up_nothing_for_long(place):
    mark = place.host / "drain"
    mark.write_text("0\n")
    stand_ins = "has_address() { :; }\nnap() { :; }\n"
    steps = [BEGIN, RECORD, "swap", f"drain {mark} 10.0.0.10", f"drain {mark}.none 10.0.0.10"]
    done = place.touch(*steps, stand_ins=stand_ins)
    assert done.result == "changed"
    assert [note for note in done.notes if "10.0.0.10" in note] == [
        "no other host takes 10.0.0.10 over: clients wait until this one answers again"
    ]


def test_a_host_on_which_nothing_ran_knows_nothing(place):
    """Absence is no outcome."""
    asked = place.ask("run-9")
    assert asked.cut
    assert asked.error == NO_RECORD


def test_a_touch_that_took_everything_out_is_known(place):
    place.touch(BEGIN, place.put("new", "new"), RECORD, "swap")
    assert place.touch(BEGIN, place.drop("new"), "record ''", "swap").result == "changed"
    assert not place.base.exists()
    assert place.ask() == outcome.Outcome("changed")


def test_a_first_touch_that_rolled_back_is_known(place):
    done = place.touch(BEGIN, place.put("new", "new"), RECORD, "swap", FAILING)
    assert done.result == "rolled-back"
    assert not place.base.exists()
    assert place.ask() == done


def test_what_another_touch_said_is_no_answer(place):
    place.touch(BEGIN, place.put("new", "new"), RECORD, "swap")
    assert place.ask("run-9").error == NO_RECORD


def test_a_host_that_was_restarted_answers_from_its_disk(place):
    done = place.touch(BEGIN, place.put("new", "new"), RECORD, "swap")
    (place.runs / "run-1-1").unlink()
    assert place.ask() == done
    (place.base / "pending").write_text("1")
    assert "ended in the middle" in place.ask().error


def test_a_touch_that_was_given_up_does_not_begin(place):
    place.ask("run-1-1")
    done = place.touch(BEGIN, place.put("new", "new"), RECORD, "swap")
    assert done.result == "failed"
    assert "gave this run up before it began" in done.error
    assert place.files() == {}


def test_answers_are_private_and_go_after_a_day(place):
    place.touch(BEGIN, place.put("new", "new"), RECORD, "swap")
    assert place.runs.stat().st_mode & 0o777 == 0o700
    answer = place.runs / "run-1-1"
    assert answer.stat().st_mode & 0o777 == 0o600
    os.utime(answer, (0, 0))
    place.touch(BEGIN, place.put("new", "newer"), RECORD, "swap")
    assert [path.name for path in place.runs.iterdir()] == ["run-1-2"]


# ---- small functions ----


def said(shell, *calls):
    return shells.lines(shell, "\n".join([protocol.program("docker"), *calls, ""]))


@EVERY_SHELL
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", []),
        ("a\n", ["a||"]),
        ("a\tb\tc\n", ["a|b|c"]),
        ("a b\tc d\te f\n\n*\t$HOME\t`x`\n", ["a b|c d|e f", "*|$HOME|`x`"]),
    ],
)
def test_each_line_has_its_fields(shell, lines, expected):
    found = said(shell, 'tell() { echo "$1|$2|$3"; }', f"each tell '{lines}'")
    assert found == expected


@EVERY_SHELL
def test_what_is_said_stays_on_one_line(shell):
    found = said(shell, "printf 'a\\n@outcome changed\\r\\tb  c' | flat")
    assert found == ["a @outcome changed b c"]


@EVERY_SHELL
def test_only_the_first_failure_is_told(shell):
    found = said(shell, "fail one hint || :", "fail two || :", "step echo never")
    assert found == ["@failed one", "@hint hint"]


@EVERY_SHELL
def test_each_step_is_told_to_the_hook_before_it_begins(shell):
    hook = 'hook() { echo "$1 $2"; }\n'
    program = f"{protocol.program('docker')}\n{hook}step true a\nstep echo done\n"
    assert shells.lines(shell, program) == ["1 true", "2 echo", "done"]


@EVERY_SHELL
def test_a_lock_whose_holder_is_dead_is_taken_over(shell, tmp_path):
    place = Place(shell, tmp_path)
    place.base.mkdir()
    (place.base / "lock").write_text("somebody who died")
    (place.base / "lock.pid").symlink_to("4194305")  # above the largest process id there is
    assert place.touch(BEGIN, place.put("new", "new"), RECORD, "swap").result == "changed"
    assert not (place.base / "lock.pid").is_symlink()


# ---- a file of which an engine reads another text first ----


def take_up(place, meanwhile, *, how="none"):
    return [
        "without_parser",
        f"will_take_up {place.host}/d.json {how} '' {encoded(meanwhile)}",
        RECORD,
        "swap",
        f"cp {place.host}/d.json {place.host}/read",
    ]


def test_another_text_is_there_until_the_end(place):
    (place.host / "d.json").write_text("old")
    edit = f"edit {place.host}/d.json 0644 1 {encoded('final')}"
    ended = place.touch(BEGIN, edit, *take_up(place, "meanwhile"), "settle")
    assert ended.result == "changed", ended
    assert place.files() == {"d.json": "final", "read": "meanwhile"}


def test_another_text_is_there_until_the_file_goes(place):
    (place.host / "d.json").write_text("old")
    ended = place.touch(BEGIN, place.drop("d.json"), *take_up(place, "meanwhile"), "settle")
    assert ended.result == "changed", ended
    assert place.files() == {"read": "meanwhile"}


def test_what_fails_before_the_end_leaves_the_old_text(place):
    (place.host / "d.json").write_text("old")
    edit = f"edit {place.host}/d.json 0644 1 {encoded('final')}"
    ended = place.touch(BEGIN, edit, *take_up(place, "meanwhile"), "fail told", "settle")
    assert ended.result == "rolled-back", ended
    assert place.files() == {"d.json": "old", "read": "meanwhile"}


def test_without_another_text_the_file_is_there_at_once(place):
    edit = f"edit {place.host}/d.json 0644 0 {encoded('final')}"
    ended = place.touch(BEGIN, edit, *take_up(place, ""), "settle")
    assert ended.result == "changed", ended
    assert place.files() == {"d.json": "final", "read": "final"}


PANIC = """\
time="2026-11-29T11:00:00Z" level=info msg="Starting upload purge in 13m0s"
panic: Get "https://up.example:5443/v2/": x509: certificate signed by unknown authority

goroutine 1 [running]:
github.com/docker/distribution/registry/handlers.NewApp({0xf1})
	github.com/docker/distribution/registry/handlers/app.go:339 +0x1e7a
main.main()
	github.com/docker/distribution/cmd/registry/main.go:22 +0x25
"""


@EVERY_SHELL
@pytest.mark.parametrize("log", [PANIC, PANIC * 3])
def test_of_a_panic_the_reason_is_told_and_not_the_trace(shell, log):
    program = protocol.program("docker")
    text = f"{program}\nx_last_words() {{ cat <<'END'\n{log}\nEND\n}}\nlast_words x name\n"
    said = shells.run(shell, text).stdout.decode()
    assert "x509: certificate signed by unknown authority" in said
    assert "main.go" not in said
    assert "goroutine" not in said
