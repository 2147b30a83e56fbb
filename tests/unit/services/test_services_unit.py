"""Services of the service manager's: the files that they are run from, and what a host decides."""

import base64
import os
import shlex
import subprocess
from dataclasses import replace

import pytest
import shells
from making import material, observed, registry

from regfleet import shell as programs
from regfleet.errors import HostError
from regfleet.model.desired import DesiredHost
from regfleet.model.observed import ObservedPath, OtherEngine
from regfleet.model.plan import InstallProgram
from regfleet.model.service import Image
from regfleet.runtimes import RUNTIMES
from regfleet.services import KINDS, unit_text

UNITS = KINDS["unit"]
WANT = DesiredHost("reg1", "acme")
PODMAN = {"podman": OtherEngine("up", "4.3.1")}
PROGRAM = ObservedPath("/usr/bin/docker-registry", False, 0o755, (0, 0), "aa")


def service(runtime, **changes):
    made = registry(**changes)
    (instance,) = made.instances
    (found,) = RUNTIMES[runtime].services(
        "acme", made, instance, material(), Image("registry:2", None, "ab" * 32)
    )
    return found


def fitted(runtime, host=None, **changes):
    return UNITS.fitted(service(runtime, **changes), WANT, host or observed())


def text_of(found):
    return base64.b64decode(UNITS.words(found)[3]).decode()


@pytest.mark.parametrize(
    ("runtime", "init", "path"),
    [
        ("podman", "systemd", "/etc/systemd/system/regfleet-main.service"),
        ("podman", "scripts", "/etc/init.d/regfleet-main"),
        ("podman", "openrc", "/etc/init.d/regfleet-main"),
        ("package", "systemd", "/etc/systemd/system/docker-registry.service.d/regfleet.conf"),
        ("package", "scripts", "/etc/init.d/regfleet-main"),
        ("package", "openrc", "/etc/init.d/regfleet-main"),
    ],
)
def test_a_file_by_runtime_and_service_manager(runtime, init, path):
    found = fitted(runtime, observed(init=init))
    manager, unit, where, _ = UNITS.words(found)
    assert where == path
    assert manager == {"systemd": "systemd", "openrc": "openrc", "scripts": "sysv"}[init]
    assert unit == ("docker-registry" if runtime == "package" else "regfleet-main")
    lines = text_of(found).splitlines()
    assert "# Written by regfleet for the fleet acme: changes here are overwritten." in lines
    assert f"# regfleet-service: regfleet-main acme {found.specification}" in lines
    assert path in UNITS.paths(found)


@pytest.mark.parametrize("runtime", ["podman", "package"])
def test_it_is_confined_as_a_container_of_dockers(runtime):
    text = text_of(fitted(runtime))
    lines = {
        "podman": ["--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only"],
        "package": [
            "\nCapabilityBoundingSet=\n", "\nNoNewPrivileges=yes\n", "\nProtectSystem=strict\n",
            "\nReadWritePaths=/var/lib/registry\n", "\nPrivateTmp=yes\n",
        ],
    }  # fmt: skip
    assert [each for each in lines[runtime] if each not in text] == []


@pytest.mark.parametrize(
    ("facts", "has", "lacks"),
    [
        ({}, "--cgroups=no-conmon --pids-limit=", ":Z"),
        ({"selinux": "enforcing"}, "/var/lib/registry:/var/lib/registry:Z", "disabled"),
        ({"selinux": "enforcing"}, "/etc/regfleet:ro,Z", "disabled"),
        ({"cgroups": "disabled"}, "TasksMax=", "--pids-limit="),
    ],
)
def test_podman_as_the_host_is(facts, has, lacks):
    host = observed(others={"podman": OtherEngine("up", "4.3.1", facts=facts)})
    text = text_of(fitted("podman", host))
    assert has in text
    assert lacks not in text


def test_the_files_of_another_user_need_one_right():
    storage = ObservedPath("/var/lib/registry", True, 0o700, (1000, 1000), "")
    host = observed(paths={storage.path: storage})
    assert "--cap-add=DAC_OVERRIDE" in text_of(fitted("podman", host))
    assert "\nCapabilityBoundingSet=CAP_DAC_OVERRIDE\n" in text_of(fitted("package", host))


def test_a_low_port_needs_one_right():
    text = text_of(fitted("package", endpoint="reg.example.com:443"))
    assert "\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n" in text


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("plain/word:1", "plain/word:1"),
        ("two words", '"two words"'),
        ("100%", '"100%%"'),
        ("$HOME", '"$$HOME"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
    ],
)
def test_words_are_quoted_for_systemd(word, written):
    run = replace(service("package").run, command=("/bin/x", word))
    assert f"\nExecStart=/bin/x {written}\n" in unit_text.render(service("package"), run)


def test_a_dollar_is_one_where_systemd_knows_no_variables():
    """With two of them the unit's own directory was not there, and it did not start."""
    made = replace(service("package"), storage="/srv/a $b 5%")
    run = replace(made.run, environment=(("MARK", "a $b"),), command=("/bin/x", "$b"))
    text = unit_text.render(made, run)
    assert '\nReadWritePaths="/srv/a $b 5%%"\n' in text
    assert '\nRequiresMountsFor="/srv/a $b 5%%"\n' in text
    assert '\nEnvironment="MARK=a $b"\n' in text
    assert '\nExecStart=/bin/x "$$b"\n' in text


@pytest.mark.parametrize("shell", shells.parameters())
def test_openrc_gets_the_words_through_its_shell(shell):
    """OpenRC evaluates the command after it sourced the script (supervise-daemon.sh)."""
    run = replace(service("package").run, manager="openrc", command=("/bin/x", "a 'b' $c \"d\""))
    text = unit_text.render(service("package"), run)
    evaluate = text + "eval set -- $command $command_args\nprintf '%s\\n' \"$@\""
    done = subprocess.run(
        shells.COMMANDS[shell], input=evaluate, capture_output=True, text=True, check=True
    )
    program, option, script = done.stdout.splitlines()
    assert (program, option) == ("/bin/sh", "-c")
    note, exec_, *words = shlex.split(script)[2:]
    assert (note, exec_, words[0]) == (">/run/regfleet-main.pid;", "exec", "setpriv")
    assert words[-2:] == list(run.command)


@pytest.mark.parametrize("shell", shells.parameters())
@pytest.mark.parametrize(("titled", "of"), [(False, "environ"), (True, "cmdline")])
def test_a_program_that_takes_the_place_of_another_is_waited_for(shell, titled, of, tmp_path):
    """While it does, the kernel shows neither environment nor arguments (proc_pid_environ(5))."""
    run = replace(service("package").run, manager="sysv", titled=titled)
    marks = "env REGFLEET_SERVICE=regfleet-main; "
    environment = {**os.environ, "REGFLEET_SERVICE": "regfleet-main"}
    with subprocess.Popen(["sleep", "60"], env=environment) as process:
        (tmp_path / "pid").write_text(f"{process.pid}")
        text = unit_text.render(service("package"), run)
        text = text.replace("/run/regfleet-main.pid", f"{tmp_path}/pid")
        text = text.replace(f'"/proc/$pid/{of}"', f"{tmp_path}/{of}")
        (tmp_path / of).write_text("")
        later = f"sleep() {{ printf '{marks if titled else marks[4:-2]}' >{tmp_path}/{of}; }}\n"
        asked = subprocess.run(
            shells.COMMANDS[shell], input=f"{later}set -- status\n{text}",
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (asked.stdout, asked.returncode) == ("regfleet-main runs\n", 0), asked.stderr
        process.kill()
    (tmp_path / of).write_text("")
    asked = subprocess.run(
        shells.COMMANDS[shell], input=f"sleep() {{ exit 9; }}\nset -- status\n{text}",
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (asked.stdout, asked.returncode) == ("regfleet-main does not run\n", 3), asked.stderr


@pytest.mark.parametrize("shell", shells.parameters())
def test_a_look_waits_for_a_program_that_takes_the_place_of_another(shell, tmp_path):
    """Or what is just being started would be held for what does not run, and be started again."""
    marks = "REGFLEET_SERVICE=regfleet-main\\0REGFLEET_SPECIFICATION=ab12.cd\\0"
    program = programs.program("regfleet.services", "unit.sh")
    for of in ("environ", "cmdline"):
        (tmp_path / of).write_text("")
        program = program.replace(f'"/proc/$2/{of}"', f"{tmp_path}/{of}")
        program = program.replace(f'"/proc/$1/{of}"', f"{tmp_path}/{of}")
    later = f"printf '{marks}' >{tmp_path}/environ; printf 'registry\\0' >{tmp_path}/cmdline"
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            call = f'is_unit regfleet-main {process.pid} && echo "$running"'
            asked = f"{program}\nsleep() {{ {later}; }}\n{call}"
            assert shells.lines(shell, asked) == ["ab12.cd"]
        finally:
            process.kill()
    gone = f"{program}\nsleep() {{ exit 9; }}\nis_unit regfleet-main {process.pid} || echo gone"
    for of in ("environ", "cmdline"):
        (tmp_path / of).write_text("")
    assert shells.lines(shell, gone) == ["gone"]


def test_openrc_watches_a_program_and_podman_its_container():
    package = text_of(fitted("package", observed(init="openrc"))).splitlines()
    podman = text_of(fitted("podman", observed(init="openrc"))).splitlines()
    assert {"supervisor=supervise-daemon", "respawn_max=0", "#!/sbin/openrc-run"} <= {*package}
    assert "#!/sbin/openrc-run" in podman
    assert "supervisor=supervise-daemon" not in podman
    assert any(" --restart=always " in line for line in podman)
    # openrc-run finds its own programs by the PATH that it has.
    assert not any(line.startswith("PATH=") for line in (*package, *podman))


def test_a_missing_program_is_installed():
    found = fitted("package")
    change, step = UNITS.needs(found, WANT, observed(packages="apt-get"))
    assert (change.action, change.reason) == ("create", "registry.main.runtime")
    assert step == InstallProgram("apt-get", ("docker-registry",), "docker-registry")
    assert UNITS.needs(found, WANT, observed(paths={PROGRAM.path: PROGRAM})) is None
    assert UNITS.needs(fitted("podman"), WANT, observed()) is None
    with pytest.raises(HostError, match="no package of") as caught:
        UNITS.needs(found, WANT, observed(packages="dnf"))
    assert "another runtime" in caught.value.hint
    moving = replace(found, run=replace(found.run, otherwise="leave vip out"))
    with pytest.raises(HostError) as caught:
        UNITS.needs(moving, WANT, observed(packages="dnf"))
    assert "leave vip out; or install it by hand" in caught.value.hint
    assert "runtime" not in caught.value.hint.removeprefix("for registry.main")


def test_an_edited_file_is_told():
    found = fitted("podman")
    path = UNITS.words(found)[2]
    assert UNITS.altered(found, observed()) == f"{path} was edited by hand"


def test_runtimes_have_different_specifications():
    found = {fitted(each).specification for each in ("podman", "package")}
    assert len(found) == 2


def test_the_package_is_told_where_its_files_are():
    (config,) = (each for each in service("package").files if each.path.endswith("config.yml"))
    text = config.content.decode()
    assert '"rootdirectory": "/var/lib/registry"' in text
    assert '"addr": ":5000"' in text
    assert '"path": "/etc/regfleet/main/htpasswd"' in text


SPECIFICATIONS = {
    "ab12.cd": "ab12.cd",
    "ab12.": "ab12.",
    "ab; c": "-",
    "": "-",
    "AB": "-",
    "\x1b[0m": "-",
}


@pytest.mark.parametrize("shell", shells.parameters())
@pytest.mark.parametrize(("said", "found"), SPECIFICATIONS.items())
def test_what_a_process_says_of_itself_is_one_plain_word(shell, said, found):
    environment = {"REGFLEET_SERVICE": "regfleet-main", "REGFLEET_SPECIFICATION": said}
    with subprocess.Popen(["sleep", "60"], env={**os.environ, **environment}) as process:
        try:
            program = programs.program("regfleet.services", "unit.sh")
            call = f'is_unit regfleet-main {process.pid} && echo "$running"'
            other = f"is_unit regfleet-other {process.pid} || echo other"
            assert shells.lines(shell, f"{program}\n{call}\n{other}") == [found, "other"]
        finally:
            process.kill()


@pytest.mark.parametrize("shell", shells.parameters())
def test_nginx_says_it_among_its_arguments(shell, tmp_path):
    """It writes them over its environment; here they are an argument of a program that does not."""
    marks = "env REGFLEET_SERVICE=regfleet-main.gateway; env REGFLEET_SPECIFICATION=ab12.cd;"
    asleep = ["sh", "-c", "sleep 60; :", "nginx: master process", "-g", marks]
    with subprocess.Popen(asleep, cwd=tmp_path, start_new_session=True) as process:
        try:
            program = programs.program("regfleet.services", "unit.sh")
            call = f'is_unit regfleet-main.gateway {process.pid} && echo "$running"'
            other = f"is_unit regfleet-main {process.pid} || echo other"
            assert shells.lines(shell, f"{program}\n{call}\n{other}") == ["ab12.cd", "other"]
        finally:
            os.killpg(process.pid, 9)
