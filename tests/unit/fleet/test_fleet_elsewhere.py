"""`include`, and hosts from files and commands."""

import json
import os

import pytest

from regfleet.errors import FleetFileError
from regfleet.fleet import host_lists
from regfleet.fleet.findings import RefusedError
from regfleet.fleet.load import load

HEAD = """version = 1
name = "acme"
[registry.main]
hosts = ["reg1.example.com"]
endpoint = "registry.example.com:5000"
users.ci = { password = "generate" }
"""
ANSIBLE = {
    "_meta": {
        "hostvars": {
            "w1": {"ansible_host": "192.0.2.9", "ansible_port": 2222, "ansible_user": "ops"},
            "w2": {"ansible_ssh_private_key_file": "keys/w2", "other": [1]},
        }
    },
    "all": {"children": ["ungrouped", "web"]},
    "ungrouped": {"hosts": ["db"]},
    "web": {"children": ["eu", "us"], "hosts": []},
    "eu": {"hosts": ["w1", "w2"]},
    "us": ["w3", "w1"],
}
W1 = {"name": "w1", "address": "192.0.2.9", "ssh": {"user": "ops", "port": 2222}}
W2 = {"name": "w2", "ssh": {"key": "keys/w2"}}


@pytest.mark.parametrize(
    ("text", "group", "found"),
    [
        ("a\n\n# no\nb  # yes\n", None, ["a", "b"]),
        ("web[01:03]\n", None, ["web[01:03]"]),
        ("name,address\na,192.0.2.1\nb,\n", None, [{"name": "a", "address": "192.0.2.1"}, "b"]),
        (
            'site, name, port\r\nrome, a, 22\r\n"x, y", b,\r\n',
            None,
            [{"name": "a", "ssh": {"port": 22}}, "b"],
        ),
        (
            '["a", {"name": "b", "address": "b.example"}]',
            None,
            ["a", {"name": "b", "address": "b.example"}],
        ),
        (
            '{"name": "a"}\n{"name": "b", "ssh": {"user": "ops"}}\n',
            None,
            ["a", {"name": "b", "ssh": {"user": "ops"}}],
        ),
        ('{"name": "a"}', None, ["a"]),
        ('{"a": "192.0.2.1"}', None, [{"name": "a", "address": "192.0.2.1"}]),
        (json.dumps(ANSIBLE), "web", [W1, W2, "w3"]),
        (json.dumps(ANSIBLE), "eu", [W1, W2]),
        (json.dumps(ANSIBLE), None, ["db", W1, W2, "w3"]),
        (json.dumps(ANSIBLE, indent=1), "us", ["w3", W1]),
    ],
)
def test_a_list_in_each_format(text, group, found):
    def tables(items):
        return [each if isinstance(each, dict) else {"name": each} for each in items]

    assert tables(host_lists.parse(text, group)) == tables(found)


def test_groups_that_name_each_other_many_times_are_read_once():
    """Forty levels of two children each would be a million million visits."""
    groups = {f"g{level}": {"children": [f"g{level + 1}"] * 2} for level in range(40)}
    groups |= {"g40": {"hosts": ["a"], "children": ["g0"]}}
    assert host_lists.parse(json.dumps(groups), "g0") == [{"name": "a"}]


@pytest.mark.parametrize(
    ("text", "group", "said"),
    [
        ("", None, "lists no host"),
        ("# none\n", None, "lists no host"),
        ("[]", None, "lists no host"),
        ("{}", None, "lists no host"),
        ('{"name": "a", }', None, "is not JSON"),
        ('{"name": "a"}\n{"name" "b"}', None, "is not JSON in line 2"),
        ("[1]", None, "has neither a name nor an object as host 1"),
        ("[" * 100_000, None, "nested too deep"),
        ("name,adress\na,b\n", None, '"adress" in line 2'),
        ("name,address\n,192.0.2.1\n", None, "has no name in line 2"),
        ('[{"address": "b"}]', None, "has no name in host 1"),
        ("a\nb\n", "web", "is no Ansible inventory"),
        (json.dumps(ANSIBLE), "wbe", "has no group"),
        ('{"a": {"hosts": []}}', "a", "lists no host"),
        ('{"a": {"children": ["b"]}, "b": {"children": ["a"]}}', "a", "lists no host"),
    ],
)
def test_a_list_that_is_refused(text, group, said):
    with pytest.raises(RefusedError) as caught:
        host_lists.parse(text, group)
    assert said in caught.value.message


def write(tmp_path, main, **files):
    for name, text in files.items():
        path = tmp_path / name.replace("__", "/")
        path = path.with_suffix(".toml") if "." not in path.name else path
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    file = tmp_path / "fleet.toml"
    file.write_text(main, "utf-8")
    return file


def said(file):
    with pytest.raises(FleetFileError) as caught:
        load(file)
    return str(caught.value)


def test_files_are_included(tmp_path):
    (tmp_path / "clients").mkdir()
    (tmp_path / "clients" / "hosts.csv").write_text("name,key\nweb1,id\n")
    file = write(
        tmp_path,
        HEAD.replace("[registry.main]", 'include = ["clients/*.toml"]\n[registry.main]'),
        clients__a='[client.web]\nhosts = { file = "hosts.csv" }\nregistries = ["main"]\n',
        clients__b=(
            '[client.build]\nhosts = [{ name = "b", ssh = { key = "id" } }]\n'
            '[registry.two]\nhosts = ["c"]\nendpoint = "c:5001"\n'
            'users.x = { password = { file = "x" } }\n'
        ),
    )
    fleet = load(file)
    assert sorted(fleet.clients) == ["build", "web"]
    assert fleet.hosts()["b"].ssh.key == tmp_path / "clients/id"
    assert fleet.registries["two"].users[0].password.value == str(tmp_path / "clients/x")
    assert fleet.hosts()["web1"].ssh.key == tmp_path / "id"  # a list's own paths: the fleet's


def test_every_mistake_has_its_file_and_line(tmp_path):
    file = write(
        tmp_path,
        HEAD.replace("[registry.main]", 'include = ["a.toml", "b.toml", "none*"]\n[registry.main]'),
        a='[client.web]\nhosts = ["w"]\nregistries = ["mian"]\n\n[ssh]\nuser = "x"\n',
        b='[client.web]\nhosts = ["v"]\n\n[client.bad]\nhost = ["v"]\n',
    )
    text = said(file)
    for line in (
        'line 3: include[2]: "none*" matches no file',
        "a.toml, line 3: client.web.registries[0]: ",
        "a.toml, line 5: ssh: cannot be in an included file",
        "b.toml, line 1: client.web: is declared in a.toml, too",
        "b.toml, line 5: client.bad.host: is not a known key",
    ):
        assert line in text


def test_an_included_file_that_is_no_toml(tmp_path):
    file = write(tmp_path, 'include = ["a.toml", "gone.toml"]\n' + HEAD, a="x = [\n")
    text = said(file)
    assert "a.toml, line 1: is not TOML" in text
    assert "gone.toml: there is no such file" in text


def test_hosts_of_a_command(tmp_path):
    counter = tmp_path / "ran"
    body = f"""[client.web]
hosts = {{ command = "echo x >>{counter}; cat hosts.txt" }}
registries = ["main"]
"""
    (tmp_path / "hosts.txt").write_text("w1\nw2\n")
    file = write(tmp_path, HEAD + body)
    assert [host.name for host in load(file).clients["web"].hosts] == ["w1", "w2"]
    load(file)
    assert counter.read_text() == "x\n"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('{ command = "echo no >&2; exit 3" }', "failed with exit code 3: no"),
        ('{ command = "echo a; echo a b" }', "(host 2 of the command"),
        ('{ file = "none.csv" }', 'the file "none.csv" does not exist'),
        ('{ file = "a", command = "b" }', "must have one of file, command"),
        ('{ group = "b" }', "must have one of file, command"),
        ('{ files = "b" }', "is not a known key"),
    ],
)
def test_a_source_that_gives_no_hosts(tmp_path, source, words):
    file = write(tmp_path, HEAD + f'[client.web]\nhosts = {source}\nregistries = ["main"]\n')
    text = said(file)
    assert "line 8: client.web.hosts" in text
    assert words in text


def test_a_completion_runs_no_command(tmp_path):
    file = write(
        tmp_path, HEAD + f'[client.web]\nhosts = {{ command = "touch {tmp_path}/ran; echo a" }}\n'
    )
    with pytest.raises(FleetFileError):
        load(file, commands=False)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("key", ["hosts", "include", "fleet"])
def test_a_pipe_is_not_waited_for(tmp_path, key):
    """Opening one blocks until somebody writes to it, which no signal of ours ends (fifo(7))."""
    pipe, path = tmp_path / "pipe", tmp_path / "fleet.toml"
    os.mkfifo(pipe)
    more = {
        "hosts": '[client.all]\nhosts = { file = "pipe" }\nregistries = ["main"]\n',
        "include": "",
        "fleet": "",
    }[key]
    text = HEAD.replace("name =", 'include = ["pipe"]\nname =') if key == "include" else HEAD
    path.write_text(text + more)
    with pytest.raises(FleetFileError, match="it is a pipe, and not a plain file"):
        load(pipe if key == "fleet" else path)


def test_what_a_shell_hands_over_is_read(tmp_path):
    """As `hosts = { file = "/dev/fd/63" }` behind a process substitution of bash's."""
    reading, writing = os.pipe()
    os.write(writing, b"a.example.com\n")
    os.close(writing)
    path = tmp_path / "fleet.toml"
    path.write_text(
        f'{HEAD}[client.all]\nhosts = {{ file = "/dev/fd/{reading}" }}\nregistries = ["main"]\n'
    )
    try:
        assert "a.example.com" in load(path).hosts()
    finally:
        os.close(reading)
