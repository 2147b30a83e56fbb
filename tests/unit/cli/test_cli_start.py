"""What a command imports and patches when it starts. Each in a process of its own."""

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


def test_a_command_that_connects_is_patched_before_it_opens_a_socket():
    said = python(
        """
        import sys
        from regfleet.cli import main

        try:
            sys.argv = ["regfleet", "plan", "/nonexistent/fleet.toml"]
            main()
        except SystemExit as end:
            print(end.code)
        from gevent import monkey
        print(monkey.is_module_patched("socket"), monkey.is_module_patched("threading"))
        import gc
        print(gc.isenabled(), gc.get_freeze_count() > 50_000)
        """
    )
    assert said.split() == ["2", "True", "True", "True", "True"]


def test_no_module_of_another_package_is_replaced():
    said = python(
        """
        import sys
        from regfleet.cli import main

        try:
            sys.argv = ["regfleet", "plan", "/nonexistent/fleet.toml"]
            main()
        except SystemExit:
            pass
        print([name for name, module in sys.modules.items()
               if type(module).__module__.startswith("regfleet")])
        """
    )
    assert said.strip() == "[]"


def test_a_command_that_asks_before_it_connects_dials_nobody():
    said = python(
        """
        import sys
        from regfleet.cli import main
        from regfleet.ssh import dial

        dial.begin = lambda **options: print("dialled") or (None, [])
        for command in ("plan", "rollback", "apply"):
            try:
                sys.argv = ["regfleet", command, "/nonexistent/fleet.toml"]
                main()
            except SystemExit:
                print(command)
        """
    )
    assert said.split() == ["dialled", "plan", "rollback", "dialled", "apply"]
