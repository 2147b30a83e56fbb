"""A job that a host does by itself: its program in every shell, its record, and what is in it."""

import shutil
import subprocess
import time
from dataclasses import replace
from datetime import datetime, timezone

import pytest
import shells
from test_jobs_render import Echo

from regfleet import timers
from regfleet.fleet.schedules import Schedule
from regfleet.jobs import records, scheduled
from regfleet.jobs.backup import BackupJob
from regfleet.jobs.collection import Collection
from regfleet.model.records import JobStatus

EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())
WEEK = 7 * 86400
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def timer(schedule):
    return scheduled.timer(
        Echo, "acme", "main", "regfleet-main", schedule=schedule, reason="registry.main.echo"
    )


@pytest.fixture
def run(shell, tmp_path):
    """Runs the program as the timer does; the record that is left, and the exit code."""

    def once(job, *words, schedule=Schedule(WEEK, "Sun 03:00")):  # noqa: B008 - frozen
        file = scheduled.file(timer(schedule), job, "acme", ["docker"])
        program = file.content.decode()
        for name, place in (("BASE", "/var/lib/regfleet"), ("RUNS", "/run/regfleet")):
            program = program.replace(f"\n{name}={place}\n", f"\n{name}={tmp_path / name}\n")
        program = program.replace("\nplan() {", "\ndocker() { return 127; }\nplan() {", 1)
        (tmp_path / "job.sh").write_text(program)
        (tmp_path / "BASE").mkdir(exist_ok=True)
        (tmp_path / "BASE" / "owned.json").touch()
        command = [shutil.which(shell), *(["sh"] if shell == "busybox" else [])]
        done = subprocess.run([*command, tmp_path / "job.sh", *words], check=False, text=True,
                              capture_output=True, timeout=60)  # fmt: skip
        kept = tmp_path / "BASE/records/echo.regfleet-main"
        return (kept.read_text() if kept.exists() else ""), done.returncode

    return once


@EVERY_SHELL
def test_it_leaves_a_record(run):
    job = Echo(("a b", "$HOME"))
    kept, code = run(job)
    last, value = records.parse(kept, job)
    assert code == 0
    assert value == [("words", "a b", "$HOME")]
    assert (last.result, last.by_itself, last.error) == ("changed", True, "")
    assert abs(last.began - time.time()) < 60
    assert last.who == "a timer of this host: regfleet, fleet acme"


@EVERY_SHELL
def test_a_failure_is_in_the_record(run):
    kept, code = run(Echo(("x",), fails=True))
    last, value = records.parse(kept, Echo())
    assert (code, value, last.result, last.error) == (1, None, "rolled-back", "as asked")


@EVERY_SHELL
def test_what_was_cut_off_is_not_put_back_by_a_timer(run, tmp_path):
    run(Echo())
    (tmp_path / "BASE/pending").write_text("1\n")
    kept, code = run(Echo())
    last, _ = records.parse(kept, Echo())
    assert (code, last.result) == (1, "failed")
    assert "a change that was cut off" in last.error
    assert (tmp_path / "BASE/pending").exists()


@EVERY_SHELL
def test_it_waits_for_its_time(run, tmp_path):
    daily = Schedule(86400)
    kept, code = run(Echo(), schedule=daily)
    assert (kept, code) == ("", 0)  # the time counts from when its file came
    first, _ = run(Echo(), "now", schedule=daily)
    assert first
    again, _ = run(Echo(), schedule=daily)
    assert again == first
    place = tmp_path / "BASE/records/echo.regfleet-main"
    began = records.parse(first, Echo())[0].began
    place.write_text(first.replace(f"@began {began}", f"@began {began - 86400}"))
    later, _ = run(Echo(), schedule=daily)
    assert records.parse(later, Echo())[0].began >= began


@pytest.mark.parametrize(
    ("schedule", "seconds", "cron", "systemd"),
    [
        (Schedule(WEEK, "Sun 03:00"), 0, "0 3 * * 0", "OnCalendar=Sun *-*-* 03:00:00"),
        (Schedule(86400, "23:05"), 0, "5 23 * * *", "OnCalendar=*-*-* 23:05:00"),
        (Schedule(2 * WEEK, "Sat 00:30"), 2 * WEEK - WEEK // 2, "30 0 * * 6", "Sat *-*-* 00:30"),
        (Schedule(3600), 3600 - 75, "0 * * * *", "OnUnitInactiveSec=150s"),
        (Schedule(86400), 86400 - 1800, "0 0 * * *", "OnUnitInactiveSec=3600s"),
    ],
)
def test_when_it_is_started(schedule, seconds, cron, systemd):
    found = timer(schedule)
    assert timers.pause(found) == seconds
    assert timers._cron_time(found) == cron
    assert systemd in "\n".join(timers._timer(found))


def test_only_root_reads_its_program_and_a_plan_shows_what_it_calls():
    file = scheduled.file(timer(Schedule(WEEK)), Echo(("hello",)), "acme", ["docker"])
    assert file.mode == 0o700
    assert "step echo_words hello" in file.shown
    assert len(file.shown) < 1000


@pytest.mark.parametrize("job", [Collection(()), BackupJob(())])
def test_a_jobs_record_is_the_one_that_its_timer_names(job):
    """Else a host would begin anew at each look of its timer, and `status` know of no run."""
    found = scheduled.timer(
        type(job), "acme", "main", "$service", schedule=Schedule(WEEK), reason="registry.main"
    )
    name = found.record.removeprefix(f"{scheduled.RECORDS}/")
    assert f'keep_record "{name}"' in job.functions()


def test_a_record_of_a_hostile_host_is_read_within_bounds():
    good = "@run timer-1-1\n@who x\n@began 5\n@ended 9\n@result words a\n@outcome changed\n"
    assert records.parse(good, Echo())[0].seconds == 4
    for text in (
        "",
        "\0",
        good.replace("@began 5", "@began -5"),
        good.replace("@began 5", "@began " + "9" * 5000),
        good.replace("@outcome changed", "@outcome fine"),
        good.replace("@outcome changed\n", ""),
    ):
        assert records.parse(text, Echo()) is None
    long = good.replace("@outcome changed", "@failed " + "x" * 50_000 + "\n@outcome failed")
    assert len(records.parse(long, Echo())[0].error) <= 600


def test_when_a_job_needs_attention():
    last = records.parse("@began 5\n@ended 9\n@outcome unchanged\n", Echo())[0]
    last = replace(last, began=int(NOW.timestamp()) - WEEK)
    fine = JobStatus("collection", Schedule(WEEK, "Sun 03:00"), last)
    assert fine.attention(NOW) == ()
    assert JobStatus("collection").attention(NOW) == ()
    late = replace(fine, last=replace(last, began=last.began - WEEK - 4 * 3600))
    assert late.attention(NOW) == ("collection late",)
    assert replace(late, schedule=Schedule()).attention(NOW) == ()
    failed = replace(fine, last=replace(last, result="failed"))
    assert failed.attention(NOW) == ("collection failed",)
