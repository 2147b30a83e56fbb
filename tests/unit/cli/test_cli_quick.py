"""A quick start leaves nothing out. Each in a process of its own: what is patched stays so."""

import subprocess
import sys
import textwrap


def python(program):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_gevent_patches_and_tells_who_is_here_but_asks_no_distribution():
    said = python(
        """
        import importlib.metadata
        import sys

        def entry_points(**_):
            raise SystemExit("the metadata of every distribution is read")

        importlib.metadata.entry_points = entry_points
        from gevent import events, monkey
        from regfleet.cli import quick

        told = []
        events.subscribers.append(lambda event: told.append(type(event).__name__))
        before = events.notify_and_call_entry_points
        quick.patch()
        print(monkey.is_module_patched("socket"), monkey.is_module_patched("threading"))
        print("GeventDidPatchAllEvent" in told)
        print(events.notify_and_call_entry_points is before)
        """
    )
    assert said.split() == ["True", "True", "True", "True"]


def test_a_deferred_module_comes_when_it_is_asked_for():
    said = python(
        """
        import sys
        from regfleet.cli import quick

        quick.defer("invoke")
        quick.defer("no_such_module_anywhere")
        import paramiko.config
        print("invoke.runners" in sys.modules, "no_such_module_anywhere" in sys.modules)
        config = paramiko.config.SSHConfig.from_text(
            'Match exec "true"\\n  User matched\\nMatch exec "false"\\n  Port 99\\n'
        )
        print(dict(config.lookup("host")).get("user"), "port" in config.lookup("host"))
        print("invoke.runners" in sys.modules)
        """
    )
    assert said.split() == ["False", "False", "matched", "False", "True"]


def test_what_is_only_called_comes_with_the_call():
    said = python(
        """
        import sys
        from regfleet.cli import quick

        quick.defer_checks()
        from packaging.version import Version
        from packaging.specifiers import SpecifierSet
        import pyinfra.api
        print("typeguard._checkers" in sys.modules, "packaging._tokenizer" in sys.modules)
        print(Version("1.10") > Version("1.9"), "2.0" in SpecifierSet(">=1.9"))
        from pyinfra.api.util import raise_if_bad_type
        raise_if_bad_type(1, int, ValueError, "bad")
        print("typeguard._checkers" in sys.modules)
        """
    )
    assert said.split() == ["False", "False", "True", "True", "True"]


def test_a_command_that_connects_starts_with_none_of_them():
    said = python(
        """
        import sys
        from regfleet.cli import app

        try:
            sys.argv = ["regfleet", "plan", "/nonexistent/fleet.toml"]
            app.main()
        except SystemExit as end:
            print(end.code)
        print("regfleet.run.session" in sys.modules, "invoke.runners" in sys.modules)
        print("typeguard._checkers" in sys.modules, "packaging._tokenizer" in sys.modules)
        import gc
        print(gc.isenabled(), gc.get_freeze_count() > 50_000)
        """
    )
    assert said.split() == ["2", "True", "False", "False", "False", "True", "True"]


def test_a_command_that_asks_before_it_connects_dials_nobody():
    said = python(
        """
        import sys
        from regfleet.cli import app
        from regfleet.run import dial

        dial.begin = lambda **options: print("dialled") or (None, [])
        for command in ("plan", "rollback", "apply"):
            try:
                sys.argv = ["regfleet", command, "/nonexistent/fleet.toml"]
                app.main()
            except SystemExit:
                print(command)
        """
    )
    assert said.split() == ["dialled", "plan", "rollback", "dialled", "apply"]
