"""Malformed fleets: each has one mistake, and that one is all that is reported."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from regfleet.errors import Mistake

HEAD = 'version = 1\nname = "acme"\n'
MAIN = '[registry.main]\nhosts = ["reg1.example.com"]\n'
USER = MAIN + '[registry.main.users]\nci = { password = "generate" }\n'
TEAM = USER + "[registry.main.projects.team-a]\n"
SEVERAL = (
    HEAD
    + '[registry.main]\nhosts = ["a", "b"]\nendpoint = "r.lan:5000"\n'
    + 'storage.shared = "/mnt/registry"\n'
)
HUB = '[registry.hub]\nexternal = true\nendpoint = "hub.example.com"\n'
CACHE = '[registry.hub]\nhosts = ["reg1.example.com"]\nendpoint = "hub.lan:5000"\n'
UPSTREAM = MAIN + 'endpoint = "main.lan:5001"\n' + CACHE + 'storage = "/srv/hub"\n'
HUB_URL = 'url = "https://docker.io"'
SECRET = '{ env = "HUB" }'
PROXY_URL = 'https = "http://p.lan:3128"'
MIRRORS = "client.build.mirrors"
MIRROR = f"{MIRRORS}[0]"
QUAY = '[registry.quay]\nhosts = ["reg1"]\nendpoint = "quay.lan:5000"\nproxy = "https://quay.io"\n'
PODMAN = 'engine = "podman"\n'
ROOTLESS = 'engine = "docker-rootless"\n'
CONTAINERD = 'engine = "containerd"\n'
BUILD = '[client.build]\nhosts = ["web1"]\n'

# Text, line, path, and parts of message and hint. Line 0 is "not known"; HEAD has two lines.
MISTAKES = [
    # --- the document
    ("", 0, "", "is empty"),
    ("# nothing\n\n", 0, "", "is empty"),
    (HEAD, 0, "", "declares neither a registry nor a client"),
    (HEAD + "[registry]\n[client]\n", 0, "", "declares neither"),
    (HEAD + "a = \n", 3, "", "is not TOML: invalid value"),
    (HEAD + "name = 2\n", 3, "", "is not TOML: cannot overwrite a value"),
    (HEAD + "[registry.main\n", 3, "", "is not TOML: expected ']'"),
    (HEAD + 'x = "\0"', 3, "", r"is not TOML: illegal character '\x00'"),
    (HEAD + "a = " + "[" * 100_000, 0, "", "too deep"),
    (HEAD + "a = " + "[" * 90 + "]" * 90, 0, "a[0][0]", "more than 32 levels"),
    (HEAD + ".".join("a" * 900) + " = 1", 0, "a.a.a", "more than 32 levels"),
    (HEAD + f"port = {'9' * 5000}", 0, "", "does not fit in 64 bits"),
    (HEAD + f"port = 0x{'f' * 9000}", 0, "port", "does not fit in 64 bits"),
    (HEAD + f"{'k' * 9000} = 1\n" + MAIN, 3, "k" * 60 + "…", "is not a known key"),
    ('name = "acme"\n' + MAIN, 0, "version", "is missing ... version = 1"),
    ("version = 1\n" + MAIN, 0, "name", 'is missing ... name = "acme"'),
    ('version = 2\nname = "acme"\n' + MAIN, 1, "version", "must be 1, not 2"),
    ('version = true\nname = "acme"\n' + MAIN, 1, "version", "an integer, not a boolean"),
    ('version = 1.0\nname = "acme"\n' + MAIN, 1, "version", "an integer, not a float"),
    ('version = "1"\nname = "acme"\n' + MAIN, 1, "version", "write 1, without quotes"),
    ('version = 1\nname = "Ac me"\n' + MAIN, 2, "name", '"Ac me" cannot be a name'),
    ('version = 1\nname = ""\n' + MAIN, 2, "name", '"" cannot be a name'),
    (f'version = 1\nname = "{"a" * 64}"\n' + MAIN, 2, "name", "cannot be a name ... up to 63"),
    (HEAD + "[registri.main]\n" + MAIN, 3, "registri", "not a known key did you mean registry?"),
    (HEAD + MAIN + '[client."Büld"]\nhosts = ["a"]\n', 5, 'client."Büld"', "cannot be a name"),
    # --- tables where none belong, and the other way round
    (HEAD + "registry = 3\n", 3, "registry", "must be a table, not an integer"),
    (HEAD + "registry = []\n", 3, "registry", "must be a table, not an array"),
    (HEAD + "registry = 1979-05-27\n", 3, "registry", "a table, not a date"),
    (HEAD + "registry.main = 07:32:00\n", 3, "registry.main", "a table, not a time"),
    (HEAD + '[registry]\nhosts = ["a"]\n', 4, "registry.hosts", "write [registry.NAME]"),
    (HEAD + '[[client.build]]\nhosts = ["a"]\n', 3, "client.build", "write [client.build]"),
    (HEAD + '[[registry]]\nname = "main"\n', 3, "registry", "a table, not an array of tables"),
    (HEAD + MAIN + "ssh = 22\n", 5, "registry.main.ssh", "is not a known key"),
    (HEAD + "ssh = 22\n" + MAIN, 3, "ssh", "must be a table, not an integer"),
    # --- ssh
    (HEAD + "ssh.port = 0\n" + MAIN, 3, "ssh.port", "must be 1 or more, not 0"),
    (HEAD + "ssh.port = 65536\n" + MAIN, 3, "ssh.port", "must be 65535 or less, not 65536"),
    (HEAD + "ssh.port = true\n" + MAIN, 3, "ssh.port", "must be an integer, not a boolean"),
    (HEAD + "ssh.port = nan\n" + MAIN, 3, "ssh.port", "must be an integer, not a float"),
    (HEAD + "ssh.port = 1979-05-27T07:32:00Z\n" + MAIN, 3, "ssh.port", "a date and time"),
    (HEAD + "ssh.sudo = 1\n" + MAIN, 3, "ssh.sudo", "must be true or false, not an integer"),
    (HEAD + 'ssh.sudo = "true"\n' + MAIN, 3, "ssh.sudo", "write true, without quotes"),
    (HEAD + 'ssh.usr = "a"\n' + MAIN, 3, "ssh.usr", "did you mean user?"),
    (HEAD + 'ssh.user = "-oProxyCommand=x"\n' + MAIN, 3, "ssh.user", "cannot be an account"),
    (HEAD + 'ssh.user = ""\n' + MAIN, 3, "ssh.user", "cannot be an account"),
    (HEAD + 'ssh.key = ""\n' + MAIN, 3, "ssh.key", "is empty"),
    (HEAD + 'ssh.key = "a\\u0000b"\n' + MAIN, 3, "ssh.key", "control character"),
    (HEAD + 'ssh.key = "~no-such-user/k"\n' + MAIN, 3, "ssh.key", "~no-such-user is no user"),
    (
        HEAD + 'ssh.host_key_checking = "stric"\n' + MAIN,
        3,
        "ssh.host_key_checking",
        'must be one of "strict", "accept-new", "off" did you mean strict?',
    ),
    # --- hosts
    (HEAD + "[registry.main]\n", 3, "registry.main.hosts", "is missing ... external = true"),
    (HEAD + "[registry.main]\nhosts = []\n", 4, "registry.main.hosts", "must not be empty"),
    (HEAD + '[registry.main]\nhosts = "a"\n', 4, "registry.main.hosts", "put it in brackets"),
    (
        HEAD + '[registry.main]\nhosts = ["a", "b"]\nendpoint = "r.lan:5000"\n',
        3,
        "registry.main.storage",
        'one host\'s own, and hosts names 2: each ... write { shared = "/mnt/registry" }',
    ),
    (
        HEAD
        + '[registry.main]\nhosts = ["r[1:3]"]\nendpoint = "r.lan:5000"\nstorage = "/srv/images"\n',
        6,
        "registry.main.storage",
        "hosts names 3",
    ),
    (
        HEAD + '[registry.main]\nhosts = ["a", "b"]\nstorage.shared = "/mnt/registry"\n',
        3,
        "registry.main.endpoint",
        "is missing: it has to be a name that leads to all its hosts",
    ),
    (SEVERAL + "adopt = true\n", 7, "registry.main.adopt", "does not go with several hosts"),
    (
        HEAD + TEAM.replace(MAIN, MAIN + 'gateway.hosts = ["lb1"]\n'),
        3,
        "registry.main.endpoint",
        "has to be a name that leads to its gateways",
    ),
    (
        HEAD + TEAM.replace(MAIN, MAIN + 'endpoint = "r.lan:5000"\ngateway.hosts.file = "a"\n'),
        6,
        "registry.main.gateway.hosts",
        "must be a list here",
    ),
    (
        HEAD
        + TEAM.replace(MAIN, MAIN + 'endpoint = "r.lan:5000"\ngateway.hosts = ["lb1"]\n')
        + '[registry.two]\nhosts = ["lb1"]\nendpoint = "two.lan:5000"\nstorage = "/srv/two"\n',
        12,
        "registry.two.endpoint",
        "port 5000 of lb1 is taken by registry.main",
    ),
    (SEVERAL + "gateway = {}\n", 7, "registry.main.gateway", "needs users ... as in users.ci"),
    (
        SEVERAL.replace('"a"', '"@local"') + 'users.ci.password = "generate"\ngateway = {}\n',
        4,
        "registry.main.hosts[0]",
        "has no address at which gateways on other hosts could reach it",
    ),
    (
        SEVERAL + 'users.ci.password = "generate"\ngateway.port = 22501\n',
        8,
        "registry.main.gateway.port",
        "is needed on the host itself ... take another one",
    ),
    (
        SEVERAL
        + 'users.ci.password = "generate"\ngateway = {}\n[registry.two]\nhosts = ["b", "c"]\n'
        + 'endpoint = "two.lan:5001"\nstorage.shared = "/mnt/two"\n'
        + 'users.ci.password = "generate"\ngateway = {}\n',
        14,
        "registry.two.gateway",
        "22510 of b is that of registry.main.gateway too ... write port = 22511",
    ),
    (SEVERAL + 'proxy = "https://docker.io"\n', 7, "registry.main.proxy", "one for each host"),
    (
        SEVERAL
        + '[registry.hub]\nhosts = ["b"]\nendpoint = "hub.lan:5000"\nstorage = "/srv/hub"\n',
        9,
        "registry.hub.endpoint",
        "port 5000 of b is taken by registry.main",
    ),
    (HEAD + MAIN + "storage = { shared = 3 }\n", 5, "registry.main.storage.shared", "a string"),
    (HEAD + MAIN + 'storage.shared = "/etc"\n', 5, "registry.main.storage.shared", ""),
    (HEAD + "[client.b]\n", 3, "client.b.hosts", "is missing"),
    (HEAD + "[client.b]\nhosts = [3]\n", 4, "client.b.hosts[0]", "a string or a table"),
    (HEAD + '[client.b]\nhosts = ["a",\n""]\n', 5, "client.b.hosts[1]", "no host name"),
    (HEAD + '[client.b]\nhosts = ["a b"]\n', 4, "client.b.hosts[0]", "is not a host name"),
    (HEAD + '[client.b]\nhosts = ["-a"]\n', 4, "client.b.hosts[0]", "is not a host name"),
    (HEAD + '[client.b]\nhosts = ["a..b"]\n', 4, "client.b.hosts[0]", "is not a host name"),
    (HEAD + '[client.b]\nhosts = ["10.0.0.256"]\n', 4, "client.b.hosts[0]", "IPv4"),
    (HEAD + '[client.b]\nhosts = ["a:22"]\n', 4, "client.b.hosts[0]", "ssh = { port = 22 }"),
    (HEAD + '[client.b]\nhosts = ["::g"]\n', 4, "client.b.hosts[0]", "is not an IPv6 address"),
    (HEAD + '[client.b]\nhosts = ["[::1]"]\n', 4, "client.b.hosts[0]", 'write "::1"'),
    (HEAD + '[client.b]\nhosts = ["root@a"]\n', 4, "client.b.hosts[0]", "has an @"),
    (
        HEAD + '[client.b]\nhosts = ["@docker"]\n',
        4,
        "client.b.hosts[0]",
        '"@local" for this machine',
    ),
    (HEAD + '[client.b]\nhosts = ["w[0:999999999]"]\n', 4, "client.b.hosts[0]", "1000000000 hosts"),
    (HEAD + '[client.b]\nhosts = ["w[9:1]"]\n', 4, "client.b.hosts[0]", "write [1:9]"),
    (HEAD + '[client.b]\nhosts = ["w[1-9]"]\n', 4, "client.b.hosts[0]", "cannot be read"),
    (HEAD + '[client.b]\nhosts = ["a", "b", "a"]\n', 4, "client.b.hosts[2]", "client.b.hosts[0]"),
    (
        HEAD + '[client.b]\nhosts = ["w[1:9]", "w[5:6]"]\n',
        4,
        "client.b.hosts[1]",
        "w5 and 1 more are already in client.b.hosts[0]",
    ),
    (
        HEAD + '[client.b]\nhosts = ["a", { name = "a", address = "b" }]\n',
        4,
        "client.b.hosts[1]",
        "a is already in client.b.hosts[0]",
    ),
    (HEAD + '[client.b]\nhosts = [{ address = "a" }]\n', 4, "client.b.hosts[0].name", "missing"),
    (HEAD + '[client.b]\nhosts = [{ name = "a", prt = 1 }]\n', 4, "client.b.hosts[0].prt", "known"),
    (
        HEAD + '[client.b]\nhosts = [{ name = "a", ssh = { port = 0 } }]\n',
        4,
        "client.b.hosts[0].ssh.port",
        "must be 1 or more",
    ),
    (
        HEAD + '[client.b]\nhosts = [{ name = "a[1:2]", address = "192.0.2.1" }]\n',
        4,
        "client.b.hosts[0]",
        "names for 2 and addresses for 1",
    ),
    (
        HEAD + '[client.b]\nhosts = [{ name = "@local", ssh = { port = 2 } }]\n',
        4,
        "client.b.hosts[0].ssh.port",
        "cannot be set for @local",
    ),
    (
        HEAD + '[client.b]\nhosts = [{ name = "@local", address = "a" }]\n',
        4,
        "client.b.hosts[0].address",
        "cannot be set for @local",
    ),
    (
        HEAD + MAIN + '[client.b]\nhosts = [{ name = "reg1.example.com", address = "a" }]\n',
        6,
        "client.b.hosts[0]",
        "has the address a here, and reg1.example.com in registry.main.hosts[0]",
    ),
    (
        HEAD + MAIN + '[client.b]\nhosts = [{ name = "reg1.example.com", ssh.port = 2 }]\n',
        6,
        "client.b.hosts[0]",
        "another ssh table (port) here than in registry.main.hosts[0]",
    ),
    (
        HEAD + MAIN + '[client.b]\nhosts = ["REG1.example.com"]\n',
        6,
        "client.b.hosts[0]",
        "is written reg1.example.com in registry.main.hosts[0]",
    ),
    (
        HEAD + BUILD + '[client.two]\nhosts = ["Web1", "Web2"]\n',
        6,
        "client.two.hosts[0]",
        "Web1 is written web1 in client.build.hosts[0]",
    ),
    (
        HEAD
        + '[client.one]\nhosts = ["w[1:900]"]\n'
        + '[client.two]\nhosts = [{ name = "w[1:900]", ssh = { port = 2 } }]\n',
        6,
        "client.two.hosts[0]",
        "w1 has another ssh table (port) here than in client.one.hosts[0]",
    ),
    (
        HEAD
        + '[registry.main]\nhosts = [{ name = "reg1", address = "192.0.2.10" }]\n'
        + 'endpoint = "192.0.2.10:5000"\n[client.c]\nhosts = ["192.0.2.10"]\n',
        7,
        "client.c.hosts[0]",
        "192.0.2.10 is another name of reg1 in registry.main.hosts[0]: ... one name",
    ),
    (
        HEAD
        + '[client.c]\nhosts = [{ name = "a", address = "2001:DB8:0::1" }, "w1", "2001:db8::1"]\n',
        4,
        "client.c.hosts[2]",
        "2001:db8::1 is another name of a in client.c.hosts[0]",
    ),
    (
        HEAD + '[client.c]\nhosts = ["w[1:9].a.b", { name = "x[1:9]", address = "W[1:9].A.b" }]\n',
        4,
        "client.c.hosts[1]",
        "x1 is another name of w1.a.b in client.c.hosts[0]",
    ),
    # --- endpoints
    (HEAD + MAIN + 'endpoint = ""\n', 5, "registry.main.endpoint", "has no host name"),
    (HEAD + MAIN + 'endpoint = "https://a.b"\n', 5, "registry.main.endpoint", 'write "a.b"'),
    (HEAD + MAIN + 'endpoint = "a.b/c"\n', 5, "registry.main.endpoint", "has a path"),
    (HEAD + MAIN + 'endpoint = "registry"\n', 5, "registry.main.endpoint", "Docker Hub"),
    (HEAD + MAIN + 'endpoint = "A.b"\n', 5, "registry.main.endpoint", 'upper case ... write "a.b"'),
    (HEAD + MAIN + 'endpoint = "a.b:0"\n', 5, "registry.main.endpoint", "port 0"),
    (HEAD + MAIN + 'endpoint = "a.b:65536"\n', 5, "registry.main.endpoint", "port 65536"),
    (HEAD + MAIN + 'endpoint = "a.b:"\n', 5, "registry.main.endpoint", "no port after"),
    (HEAD + MAIN + 'endpoint = "a_b.c"\n', 5, "registry.main.endpoint", "is not a host name"),
    (HEAD + MAIN + 'endpoint = "::1"\n', 5, "registry.main.endpoint", 'write "[::1]"'),
    (HEAD + MAIN + 'endpoint = "[::g]:5000"\n', 5, "registry.main.endpoint", "in brackets"),
    (HEAD + '[registry.main]\nhosts = ["@local"]\n', 3, "registry.main.endpoint", "@local"),
    (
        HEAD + '[registry.main]\nhosts = ["reg_1"]\n',
        3,
        "registry.main.endpoint",
        "is missing, and cannot be the first host's address",
    ),
    # --- registries
    (HEAD + MAIN + 'runtime = "docker"\n', 5, "registry.main.runtime", "must be one of"),
    (HEAD + MAIN + 'image = "a b"\n', 5, "registry.main.image", "is not an image"),
    (HEAD + MAIN + 'image = ""\n', 5, "registry.main.image", "is not an image"),
    (HEAD + MAIN + 'image = "Registry:2"\n', 5, "registry.main.image", "lower case"),
    (HEAD + MAIN + 'image = "registry:"\n', 5, "registry.main.image", "tag"),
    (HEAD + MAIN + 'image = "registry@sha256:ab"\n', 5, "registry.main.image", "digest"),
    (HEAD + MAIN + 'image_archive = "no.tar"\n', 5, "registry.main.image_archive", "not exist"),
    (HEAD + MAIN + 'image_archive = "."\n', 5, "registry.main.image_archive", "is not a file"),
    (
        HEAD + MAIN + f'image_archive = "{"a" * 5000}"\n',
        5,
        "registry.main.image_archive",
        "cannot be read: File name too long",
    ),
    (HEAD + MAIN + 'storage = "data"\n', 5, "registry.main.storage", "from / on"),
    (HEAD + MAIN + 'storage = "/"\n', 5, "registry.main.storage", "from / on"),
    (HEAD + MAIN + 'storage = "/a/../b"\n', 5, "registry.main.storage", ".."),
    (
        HEAD + MAIN + 'storage = "/a:b"\n',
        5,
        "registry.main.storage",
        "which a volume's path cannot have",
    ),
    *(
        (
            HEAD + MAIN + f'storage = "{path}"\n',
            5,
            "registry.main.storage",
            f"cannot hold images: {named}",
        )
        for path, named in (
            ("/etc", "/etc"),
            ("/etc/", "/etc"),
            ("/usr", "/usr/local"),
            ("/home", "/home"),
            ("/root", "/root"),
            ("/srv", "/srv"),
            ("/boot/images", "/boot"),
            ("/proc/1/root/srv", "/proc"),
            ("/dev/shm/images", "/dev"),
            ("/var", "/var/backups"),
            ("/var/lib", "/var/lib/apt"),
            ("/var/lib/docker", "/var/lib/docker"),
            ("/var/lib/regfleet/images", "/var/lib/regfleet"),
            ("/etc/regfleet/main", "/etc"),
        )
    ),
    (HEAD + MAIN + 'storage = "//etc"\n', 5, "registry.main.storage", "empty, . or .."),
    (HEAD + MAIN + 'storage = "/etc/."\n', 5, "registry.main.storage", "empty, . or .."),
    (HEAD + MAIN + 'storage = "/srv//a"\n', 5, "registry.main.storage", "empty, . or .."),
    (HEAD + MAIN + "delete = 0\n", 5, "registry.main.delete", "true or false, not an integer"),
    (
        HEAD + MAIN + 'endpoint = "a.b"\n[registry.two]\nhosts = ["r2"]\nendpoint = "a.b"\n',
        8,
        "registry.two.endpoint",
        "a.b is the endpoint of registry.main too",
    ),
    (
        HEAD
        + MAIN
        + '[registry.two]\nhosts = ["reg1.example.com"]\nendpoint = "b.c:5000"\nstorage = "/two"\n',
        7,
        "registry.two.endpoint",
        "port 5000 of reg1.example.com is taken by registry.main",
    ),
    (
        HEAD + MAIN + '[registry.two]\nhosts = ["reg1.example.com"]\nendpoint = "b.c:5001"\n',
        5,
        "registry.two.storage",
        'images of registry.main too write storage = "/var/lib/registry-two"',
    ),
    (
        HEAD
        + MAIN
        + 'endpoint = "a.b"\ntls.source = "none"\n'
        + '[registry.two]\nhosts = ["reg1.example.com"]\nendpoint = "b.c:80"\nstorage = "/two"\n',
        9,
        "registry.two.endpoint",
        "port 80 of reg1.example.com is taken by registry.main",
    ),
    (
        HEAD
        + MAIN
        + '[registry.two]\nhosts = ["reg1.example.com"]\nendpoint = "b.c"\n'
        + 'storage = "/var/lib/registry/two"\n',
        8,
        "registry.two.storage",
        "would hold the images of registry.main too",
    ),
    (
        HEAD
        + MAIN
        + 'storage = "/a"\n'
        + '[registry.two]\nhosts = ["reg1.example.com"]\nendpoint = "b.c"\nstorage = "/a/b"\n',
        9,
        "registry.two.storage",
        "would hold the images of registry.main too",
    ),
    *(
        (
            HEAD
            + MAIN
            + f'listen = "{one}"\n'
            + '[registry.two]\nhosts = ["reg1.example.com"]\nendpoint = "b.c"\nstorage = "/two"\n'
            + f'listen = "{other}"\n',
            8,
            "registry.two.endpoint",
            "port 5000 of reg1.example.com is taken by registry.main ... under listen",
        )
        for one, other in (
            ("10.0.0.5:5000", "10.0.0.5:5000"),
            ("10.0.0.5:5000", "0.0.0.0:5000"),
            ("[::]:5000", "[::1]:5000"),
        )
    ),
    (
        HEAD
        + 'ca.permitted = ["example.com", "10.0.0.0/8"]\n'
        + '[registry.main]\nhosts = [{ name = "reg1.example.com", address = "192.0.2.1" }]\n'
        + 'endpoint = "registry.lan:5000"\ntls.names = ["*.example.com", "10.1.2.3", "a.org"]\n',
        4,
        "registry.main",
        'may not sign for "192.0.2.1", "a.org", "registry.lan": ca.permitted',
    ),
    # --- tls
    (HEAD + MAIN + 'tls.source = "public"\n', 5, "registry.main.tls.source", "must be one of"),
    (HEAD + MAIN + 'tls.ca = "fleet.toml"\n', 5, "registry.main.tls.ca", "has no effect"),
    (
        HEAD + MAIN + 'tls = { source = "files", key = "fleet.toml" }\n',
        5,
        "registry.main.tls.certificate",
        "is missing",
    ),
    (
        HEAD
        + MAIN
        + 'tls = { source = "files", certificate = "fleet.toml", key = "fleet.toml", ca = "no" }\n',
        5,
        "registry.main.tls.ca",
        "does not exist",
    ),
    (HEAD + MAIN + 'tls.names = ["a", "b c"]\n', 5, "registry.main.tls.names[1]", "host name"),
    (HEAD + MAIN + 'tls.names = ["fe80::1%0"]\n', 5, "registry.main.tls.names[0]", "zone"),
    # --- storage in a bucket
    (HEAD + MAIN + "storage = 3\n", 5, "registry.main.storage", "a string or a table"),
    (HEAD + MAIN + "storage = {}\n", 5, "registry.main.storage", "exactly one of shared, s3"),
    (HEAD + MAIN + "storage.s3 = {}\n", 5, "registry.main.storage.s3.bucket", "is missing"),
    (HEAD + MAIN + 'storage.s3.bucket = "B"\n', 5, "registry.main.storage.s3.bucket", "a bucket"),
    (
        HEAD + MAIN + f'storage.s3 = {{ bucket = "abc", access_key = {SECRET} }}\n',
        5,
        "registry.main.storage.s3.secret_key",
        "is missing: access_key is set ... write both, or none",
    ),
    (
        HEAD
        + MAIN
        + f'storage.s3 = {{ bucket = "abc", access_key = {SECRET}, secret_key = "hunter2" }}\n',
        5,
        "registry.main.storage.s3.secret_key",
        "is a string: passwords do not belong in the file",
    ),
    (
        HEAD + MAIN + 'adopt = true\nstorage.s3.bucket = "abc"\n',
        5,
        "registry.main.adopt",
        "does not go with a bucket",
    ),
    (
        HEAD
        + MAIN
        + 'storage.s3.bucket = "abc"\n'
        + CACHE.replace("reg1", "reg2")
        + 'storage.s3.bucket = "abc"\n',
        9,
        "registry.hub.storage.s3",
        "are those of registry.main too",
    ),
    # --- projects and roles
    (
        HEAD + TEAM + 'members = { ic = "guest" }\n',
        8,
        "registry.main.projects.team-a.members.ic",
        'registry.main has no user "ic" its users are ci',
    ),
    (
        HEAD + TEAM + 'members = { ci = "reader" }\n',
        8,
        "registry.main.projects.team-a.members.ci",
        'must be one of "guest", "developer", "admin" for example: "developer"',
    ),
    (
        HEAD + TEAM + 'members = { ci = "develper" }\n',
        8,
        "registry.main.projects.team-a.members.ci",
        "did you mean developer?",
    ),
    (
        HEAD + TEAM + 'members = ["ci"]\n',
        8,
        "registry.main.projects.team-a.members",
        'must be a table, not an array for example: { alice = "developer"',
    ),
    (HEAD + TEAM + "public = 1\n", 8, "registry.main.projects.team-a.public", "true or false"),
    (
        HEAD + TEAM + "[registry.main.projects.Team-B]\n",
        8,
        "registry.main.projects.Team-B",
        '"Team-B" is not the path of a repository ... written in lower case',
    ),
    *(
        (
            HEAD + TEAM + f'[registry.main.projects."{name}"]\n',
            8,
            f'registry.main.projects."{name}"',
            f'"{name}" is not the path of a repository as in team-a or team-a/infra',
        )
        for name in ("", "a/", "/a", "a//b", "a/../b", "a b", "a:1", "a/*", "ä", "a%2fb")
    ),
    (
        HEAD + TEAM + f"[registry.main.projects.{'a' * 256}]\n",
        8,
        f"registry.main.projects.{'a' * 60}…",
        "longer than the path of a repository can be 255",
    ),
    (
        HEAD + MAIN + 'admins = ["ci"]\n' + USER.replace(MAIN, ""),
        5,
        "registry.main.admins",
        "has no effect ... declare [registry.main.projects.NAME], or leave admins out",
    ),
    (
        HEAD + MAIN + "gateway = {}\n" + USER.replace(MAIN, ""),
        5,
        "registry.main.gateway",
        "has no effect ... leave gateway out",
    ),
    (
        HEAD + USER + "[registry.main.projects]\n",
        7,
        "registry.main.projects",
        "declares no project: every user of the registry may do everything ... leave projects out",
    ),
    (
        HEAD + MAIN + 'admins = ["ci", "root"]\n' + TEAM.replace(MAIN, ""),
        5,
        "registry.main.admins[1]",
        'registry.main has no user "root" its users are ci',
    ),
    (
        HEAD + MAIN + 'admins = ["ci", "ci"]\n' + TEAM.replace(MAIN, ""),
        5,
        "registry.main.admins[1]",
        "is the same as registry.main.admins[0]",
    ),
    (
        HEAD + MAIN + "[registry.main.projects.team-a]\n",
        5,
        "registry.main.projects",
        "needs users: without them nobody could push",
    ),
    (
        HEAD + MAIN + 'runtime = "package"\ngateway.image = "nginx:1"\n' + TEAM.replace(MAIN, ""),
        6,
        "registry.main.gateway.image",
        'has no effect: runtime = "package" runs the distribution\'s nginx',
    ),
    (
        HEAD + MAIN + 'proxy = "https://docker.io"\n' + TEAM.replace(MAIN, ""),
        8,
        "registry.main.projects",
        "does not go with proxy",
    ),
    (
        HEAD + MAIN + 'tls.source = "none"\n' + TEAM.replace(MAIN, ""),
        6,
        "registry.main.users",
        "would send their passwords in plain text",
    ),
    (
        HEAD + HUB + "[registry.hub.projects.team-a]\n",
        6,
        "registry.hub.projects",
        "does not go with external = true",
    ),
    (
        HEAD + TEAM + "[registry.main.gateway]\nvip = '10.0.0.10/24'\n",
        9,
        "registry.main.gateway.vip",
        "has no effect: the gateway runs on one host",
    ),
    (
        HEAD + TEAM + "[registry.main.gateway]\nvip = '10.0.0.10'\n",
        9,
        "registry.main.gateway.vip",
        "is not an address with a prefix as in 10.0.0.10/24",
    ),
    (
        SEVERAL + 'users.ci.password = "generate"\ngateway.vip = "10.0.0.10/24"\n',
        8,
        "registry.main.gateway.vip",
        "needs the IP address of a",
    ),
    *(
        (
            SEVERAL.replace('"a"', '{ name = "a", address = "10.0.0.1" }').replace(
                '"b"', f'{{ name = "b", address = "{address}" }}'
            )
            + f'users.ci.password = "generate"\ngateway.vip = "10.0.0.10/24"\n{more}',
            8,
            "registry.main.gateway.vip",
            words,
        )
        for address, more, words in (
            ("10.0.1.2", "", "is outside the network of b, whose address is 10.0.1.2"),
            ("10.0.0.10", "", "is the address of b itself"),
            ("10.0.0.2", 'listen = "0.0.0.0:5000"\n', "does not go with listen"),
        )
    ),
    (
        SEVERAL.replace('"a"', '{ name = "a", address = "10.0.0.10" }')
        + 'users.ci.password = "generate"\n[registry.main.gateway]\nvip = "10.0.0.10/24"\nhosts = '
        + '[{ name = "l", address = "10.0.0.1" }, { name = "m", address = "10.0.0.2" }]\n',
        9,
        "registry.main.gateway.vip",
        "is the address of a itself",
    ),
    (
        HEAD + TEAM + "[registry.main.gateway]\nimage = 'Nginx'\n",
        9,
        "registry.main.gateway.image",
        "is not an image",
    ),
    (
        HEAD + TEAM + "[registry.main.gateway]\nimage_archive = 'no.tar'\n",
        9,
        "registry.main.gateway.image_archive",
        "does not exist",
    ),
    # --- users
    (HEAD + MAIN + 'users.a = "hunter2"\n', 5, "registry.main.users.a", "a table, not a string"),
    (HEAD + MAIN + "users.a = {}\n", 5, "registry.main.users.a.password", "is missing"),
    (
        HEAD + MAIN + 'users.a = { password = "hunter2" }\n',
        5,
        "registry.main.users.a.password",
        'passwords do not belong in the file write "generate"',
    ),
    (
        HEAD + MAIN + "users.a = { password = {} }\n",
        5,
        "registry.main.users.a.password",
        "must have exactly one of env, file, command",
    ),
    (
        HEAD + MAIN + 'users.a = { password = { env = "A", file = "b" } }\n',
        5,
        "registry.main.users.a.password",
        "must have exactly one of env, file, command",
    ),
    (
        HEAD + MAIN + 'users.a = { password = { env = "hunter-2" } }\n',
        5,
        "registry.main.users.a.password.env",
        "is not the name of an environment variable",
    ),
    (
        HEAD + MAIN + 'users.a = { password = { command = " " } }\n',
        5,
        "registry.main.users.a.password.command",
        "is not a command",
    ),
    (
        HEAD + MAIN + 'users.a = { password = { file = "~no-such-user/a" } }\n',
        5,
        "registry.main.users.a.password.file",
        "is no user",
    ),
    (
        HEAD + MAIN + 'users."a:b" = { password = "generate" }\n',
        5,
        'registry.main.users."a:b"',
        "has a colon",
    ),
    (HEAD + MAIN + 'users."" = { password = "generate" }\n', 5, 'registry.main.users.""', "empty"),
    (
        HEAD + MAIN + 'users."#a" = { password = "generate" }\n',
        5,
        'registry.main.users."#a"',
        "htpasswd",
    ),
    (
        HEAD + MAIN + 'tls.source = "none"\nusers.a = { password = "generate" }\n',
        6,
        "registry.main.users",
        "plain text ... allow_plaintext_passwords = true",
    ),
    # --- external registries
    (HEAD + "[registry.x]\nexternal = true\n", 3, "registry.x.endpoint", "is missing"),
    (HEAD + MAIN + HUB + 'hosts = ["reg1.example.com"]\n', 8, "registry.hub.hosts", "external"),
    (HEAD + HUB + 'hosts = ["a"]\n', 6, "registry.hub.hosts", "does not go with external"),
    (HEAD + HUB + 'storage = "/a"\n', 6, "registry.hub.storage", "does not go with external"),
    (HEAD + HUB + 'image = "registry:2"\n', 6, "registry.hub.image", "does not go with external"),
    (HEAD + HUB + 'tls.source = "fleet-ca"\n', 6, "registry.hub.tls.source", "cannot sign"),
    (HEAD + HUB + 'tls.source = "files"\n', 6, "registry.hub.tls.ca", "is missing"),
    (
        HEAD + HUB + 'tls.names = ["a"]\n',
        6,
        "registry.hub.tls.names",
        "regfleet does not make its certificate",
    ),
    (
        HEAD + HUB + 'users.a = { password = "generate" }\n',
        6,
        "registry.hub.users.a.password",
        "cannot be generated",
    ),
    (
        HEAD + HUB + 'external = "yes"\n'.replace("external", "smoke"),
        6,
        "registry.hub.smoke",
        "true",
    ),
    # --- clients
    (
        HEAD + BUILD + 'engine = "containerd"\ndaemon = { debug = true }\n',
        6,
        "client.build.daemon",
        "reads no daemon.json",
    ),
    (
        HEAD
        + MAIN
        + 'users.a.password.env = "A"\n'
        + BUILD
        + 'engine = "containerd"\nlogin.main = { user = "a", for = ["root", "ops"] }\n',
        9,
        "client.build.login.main.for[1]",
        "cannot log in one account",
    ),
    (HEAD + BUILD + ROOTLESS, 3, "client.build.account", 'is missing ... account = "alice"'),
    (HEAD + BUILD + 'account = "alice"\n', 5, "client.build.account", "no account's own engine"),
    (HEAD + BUILD + ROOTLESS + 'account = "root"\n', 6, "client.build.account", "is root"),
    (HEAD + BUILD + ROOTLESS + 'account = "a b"\n', 6, "client.build.account", "account"),
    (
        HEAD + USER + BUILD + ROOTLESS + 'account = "alice"\nmigrate_flags = true\n',
        11,
        "client.build.migrate_flags",
        "no flags that could move",
    ),
    (
        HEAD + USER + BUILD + ROOTLESS + 'account = "alice"\n'
        'login.main = { user = "ci", for = ["alice", "bob"] }\n',
        11,
        "client.build.login.main.for[1]",
        "is alice's ... leave `for` out",
    ),
    (
        HEAD
        + BUILD
        + ROOTLESS
        + 'account = "alice"\n[client.b]\nhosts = ["web1"]\n'
        + ROOTLESS
        + 'account = "bob"\n',
        10,
        "client.b.account",
        'is "bob" here and "alice" in client.build.account',
    ),
    (
        HEAD + BUILD + 'engine = "docker-sysconfig"\nmigrate_flags = true\n',
        6,
        "client.build.migrate_flags",
        "no flags that could move",
    ),
    (HEAD + BUILD + 'engine = "dockr"\n', 5, "client.build.engine", "did you mean docker?"),
    (HEAD + MAIN + BUILD + 'registries = ["mian"]\n', 7, "client.build.registries[0]", "main?"),
    (HEAD + BUILD + 'registries = ["main"]\n', 5, "client.build.registries[0]", "none is declared"),
    (
        HEAD + MAIN + BUILD + 'registries = ["main",\n"main"]\n',
        8,
        "client.build.registries[1]",
        "is the same as registries[0]",
    ),
    (HEAD + MAIN + BUILD + 'mirrors = ["mian"]\n', 7, "client.build.mirrors[0]", "mean main?"),
    (HEAD + BUILD + 'mirrors = ["m.example.com"]\n', 5, "client.build.mirrors[0]", "https://"),
    (HEAD + BUILD + 'mirrors = ["ftp://m"]\n', 5, "client.build.mirrors[0]", 'scheme "ftp"'),
    (HEAD + BUILD + 'mirrors = ["https://u:pw@m"]\n', 5, "client.build.mirrors[0]", "user or pass"),
    (HEAD + BUILD + 'mirrors = ["https://m?a=b"]\n', 5, "client.build.mirrors[0]", "a query"),
    (HEAD + BUILD + 'mirrors = ["https://m/?"]\n', 5, "client.build.mirrors[0]", "a query"),
    (HEAD + BUILD + 'mirrors = ["https://m#a"]\n', 5, "client.build.mirrors[0]", "a fragment"),
    (HEAD + BUILD + 'mirrors = ["https://"]\n', 5, "client.build.mirrors[0]", "no valid host"),
    (HEAD + BUILD + 'mirrors = ["https://m:99999"]\n', 5, "client.build.mirrors[0]", "port 99999"),
    (HEAD + BUILD + 'mirrors = ["https://[::1"]\n', 5, "client.build.mirrors[0]", "no valid host"),
    (HEAD + BUILD + 'mirrors = ["https://m\\n"]\n', 5, "client.build.mirrors[0]", "blank"),
    *(
        (
            HEAD + BUILD + f"{engine}mirrors = {{ {mirrors} }}\n" + QUAY,
            line,
            f"{MIRRORS}.{key}",
            words,
        )
        for engine, line, mirrors, key, words in (
            (
                "",
                5,
                '"quay.io" = ["quay"]',
                '"quay.io"',
                "docker asks mirrors for images of Docker Hub",
            ),
            (PODMAN, 6, '"quay.io" = ["qay"]', '"quay.io"[0]', "did you mean quay?"),
            (PODMAN, 6, '"*" = ["https://m"]', '"*"', "podman has no mirrors for all registries"),
            (
                PODMAN,
                6,
                '"index.docker.io" = ["https://m"]',
                '"index.docker.io"',
                "write docker.io",
            ),
            (PODMAN, 6, '"https://a" = ["https://m"]', '"https://a"', "clients type no scheme"),
            (PODMAN, 6, '"quay.io" = ["ftp://m"]', '"quay.io"[0]', 'scheme "ftp"'),
            (PODMAN, 6, '"quay.io" = ["https://m", "https://m"]', '"quay.io"[1]', "is the same as"),
            (PODMAN, 6, '"docker.io" = ["quay"]', '"docker.io"[0]', 'write mirrors = { "REGISTRY"'),
            (
                PODMAN,
                6,
                '"ghcr.io" = ["quay"]',
                '"ghcr.io"[0]',
                "would be asked for images of ghcr.io",
            ),
            (
                CONTAINERD,
                6,
                '"*" = ["quay"]',
                '"*"[0]',
                "would be asked for images of all registries",
            ),
            (
                PODMAN,
                6,
                '"quay.lan:5000" = ["https://m"]',
                '"quay.lan:5000"',
                "endpoint of registry.quay",
            ),
        )
    ),
    *(
        (HEAD + BUILD + f'mirrors = ["{mirror}"]\n' + CACHE + proxy, 5, MIRROR, words)
        for mirror in ("hub", "https://hub.lan:5000")
        for proxy, words in (
            ('proxy = "https://quay.io"\n', "is a cache of https://quay.io ... Docker Hub"),
            (
                'proxy = "https://docker.io"\nserves_docker_hub = false\n',
                "write serves_docker_hub = true in registry.hub",
            ),
            (
                'proxy = "https://docker.io"\nusers.ci.password = "generate"\n',
                "registry.hub has users, and docker sends mirrors no login",
            ),
        )
    ),
    *(
        (HEAD + UPSTREAM + f"proxy = {{ {proxy} }}\n", 10, f"registry.hub.proxy.{key}", words)
        for proxy, key, words in (
            (f'{HUB_URL}, user = "me"', "password", "is missing: user is set"),
            (f"{HUB_URL}, password = {SECRET}", "user", "is missing: password is set"),
            (f'user = "me", password = {SECRET}', "url", "is missing"),
            (f'{HUB_URL}, user = "me", password = "hunter2"', "password", "do not belong"),
            ('url = "https://me:hunter2@docker.io"', "url", "user or password ... proxy = {"),
            (f'{HUB_URL}, ttl = "7d"', "ttl", '"7d" is not a duration'),
            (f'{HUB_URL}, ttl = "36h"', "ttl", 'version 2 ... use image = "registry:3"'),
            (
                f'url = "https://main.lan:5001", user = "me", password = {SECRET}',
                "user",
                "registry.main checks passwords itself ... registry:3",
            ),
            (
                f'url = "http://up.lan", user = "me", password = {SECRET}',
                "password",
                "would be sent in plain text ... allow_plaintext_passwords",
            ),
        )
    ),
    *(
        (
            HEAD + UPSTREAM + f'{runs}\nproxy = {{ {HUB_URL}, ttl = "0" }}\n',
            11,
            "registry.hub.proxy.ttl",
            words,
        )
        for runs, words in (
            ('image = "registry:2.8.3"', "keeps 7 days"),
            ('runtime = "package"', "the distribution's package is ... another runtime"),
        )
    ),
    *(
        (
            HEAD + MAIN + BUILD + f"{engine}proxy = {{ {proxy} }}\n",
            line,
            f"client.build.{key}",
            words,
        )
        for engine, line in (("", 7), ('engine = "podman"\n', 8))
        for proxy, key, words in (
            ('no_proxy = ["a"]', "proxy", "names no proxy"),
            ('https = "http://me:hunter2@p:1"', "proxy.https", "user or password ... password = {"),
            ('https = "p:3128"', "proxy.https", "is not the URL of a proxy"),
            (
                f'{PROXY_URL}, no_proxy = ["a,b"]',
                "proxy.no_proxy[0]",
                "each in a string of its own",
            ),
            (f'{PROXY_URL}, user = "me"', "proxy.password", "is missing: user is set"),
        )
    ),
    (
        HEAD + MAIN + BUILD + f'proxy = {{ {PROXY_URL}, user = "me", password = "hunter2" }}\n',
        7,
        "client.build.proxy.password",
        "passwords do not belong in the file",
    ),
    (
        HEAD + MAIN + BUILD + 'engine = "podman"\n'
        f'proxy = {{ {PROXY_URL}, user = "me", password = {SECRET} }}\n',
        8,
        "client.build.proxy.password",
        "podman reads its proxy from a file that all accounts read",
    ),
    (
        HEAD
        + MAIN
        + BUILD
        + f'engine = "containerd"\nproxy = {{ {PROXY_URL}, containers = true }}\n',
        8,
        "client.build.proxy.containers",
        "containerd has no setting that gives containers a proxy",
    ),
    (
        HEAD + MAIN + BUILD + f"proxy = {{ {PROXY_URL} }}\ndaemon = {{ proxies = {{}} }}\n",
        8,
        "client.build.daemon.proxies",
        "is written by proxy",
    ),
    (
        HEAD + MAIN + BUILD + f"proxy = {{ {PROXY_URL} }}\n"
        '[client.more]\nhosts = ["web1"]\nproxy = { https = "http://other" }\n',
        10,
        "client.more.proxy",
        "a host can have only one of them",
    ),
    *(
        (HEAD + UPSTREAM + f"proxy = {{ {HUB_URL} }}\nhttp_proxy = {{ {by} }}\n", 11, key, words)
        for by, key, words in (
            ('no_proxy = ["a"]', "registry.hub.http_proxy", "names no proxy"),
            (
                f'{PROXY_URL}, user = "me"',
                "registry.hub.http_proxy.password",
                "is missing: user is set",
            ),
            (
                f'{PROXY_URL}, user = "me", password = {{ file = "~nobody-of-this-name/p" }}',
                "registry.hub.http_proxy.password.file",
                "~nobody-of-this-name",
            ),
            (
                'http = "http://p.lan:3128"',
                "registry.hub.http_proxy",
                "what the registry asks is https://, and https is not set",
            ),
        )
    ),
    (
        HEAD + MAIN + f"http_proxy = {{ {PROXY_URL} }}\n",
        5,
        "registry.main.http_proxy",
        "only a cache, or a registry with a bucket",
    ),
    (
        HEAD + MAIN + "serves_docker_hub = true\n",
        5,
        "registry.main.serves_docker_hub",
        "leave it out, or set proxy",
    ),
    (HEAD + USER + BUILD + 'login = { mian = "ci" }\n', 9, "client.build.login.mian", "main?"),
    (
        HEAD + USER + BUILD + 'login = { main = "cii" }\n',
        9,
        "client.build.login.main",
        "did you mean ci?",
    ),
    (HEAD + MAIN + BUILD + 'login = { main = "ci" }\n', 7, "client.build.login.main", "no users"),
    (
        HEAD + USER + BUILD + 'login = { main = { user = "x" } }\n',
        9,
        "client.build.login.main.user",
        'registry.main has no user "x" its users are ci',
    ),
    (
        HEAD + USER + BUILD + 'login = { main = { user = "ci", for = [] } }\n',
        9,
        "client.build.login.main.for",
        "must not be empty",
    ),
    (
        HEAD + USER + BUILD + 'login = { main = { user = "ci", for = ["a/b"] } }\n',
        9,
        "client.build.login.main.for[0]",
        "cannot be an account's name",
    ),
    (HEAD + USER + BUILD + "login.main = {}\n", 9, "client.build.login.main.user", "is missing"),
    (
        HEAD + BUILD + "daemon = { insecure-registries = [] }\n",
        5,
        "client.build.daemon.insecure-registries",
        "use registries instead",
    ),
    (
        HEAD + BUILD + "daemon = { registry-mirrors = [] }\n",
        5,
        "client.build.daemon.registry-mirrors",
        "use mirrors instead",
    ),
    (HEAD + BUILD + "daemon = { mtu = inf }\n", 5, "client.build.daemon.mtu", "inf cannot be"),
    (HEAD + BUILD + "daemon = { mtu = [nan] }\n", 5, "client.build.daemon.mtu[0]", "nan cannot be"),
    (
        HEAD + BUILD + 'daemon = { log-opts = { "a b" = 1979-05-27 } }\n',
        5,
        'client.build.daemon.log-opts."a b"',
        "a date cannot be written in daemon.json",
    ),
    # --- two clients, one host
    (
        HEAD + BUILD + '[client.two]\nhosts = ["web[1:2]"]\ninstall = false\n',
        7,
        "client.two.install",
        "is false here and true in client.build.install, and both claim web1",
    ),
    (
        HEAD + BUILD + 'daemon.mtu = 1\n[client.two]\nhosts = ["web1"]\ndaemon.mtu = true\n',
        8,
        "client.two.daemon.mtu",
        "is true here and 1 in client.build.daemon.mtu",
    ),
    (
        HEAD
        + USER
        + "x = { password = { env = 'X' } }\n"
        + BUILD
        + 'login.main = "ci"\n[client.two]\nhosts = ["web1"]\nlogin.main = "x"\n',
        13,
        "client.two.login.main",
        'is "x" here and "ci" in client.build.login.main',
    ),
    # --- rollout and smoke
    (HEAD + "rollout.canary = -1\n" + BUILD, 3, "rollout.canary", "must be 0 or more"),
    (HEAD + "rollout.batch = 0\n" + BUILD, 3, "rollout.batch", "must be 1 or more"),
    (HEAD + 'rollout.batch = "0%"\n' + BUILD, 3, "rollout.batch", '"1%" to "100%"'),
    (HEAD + 'rollout.batch = "101%"\n' + BUILD, 3, "rollout.batch", '"101%" is not a batch'),
    (HEAD + 'rollout.batch = "5"\n' + BUILD, 3, "rollout.batch", '"5" is not a batch'),
    (HEAD + "rollout.batch = 0.5\n" + BUILD, 3, "rollout.batch", "not a float"),
    (HEAD + 'smoke.image = "a//b"\n' + BUILD, 3, "smoke.image", "is not an image"),
    (HEAD + 'smoke.image_archive = "no"\n' + BUILD, 3, "smoke.image_archive", "does not exist"),
]


@pytest.mark.parametrize(
    ("text", "line", "path", "words"), MISTAKES, ids=[f"{m[2]}: {m[3]}"[:70] for m in MISTAKES]
)
def test_one_mistake(
    mistakes_of: Callable[[str], tuple[Mistake, ...]], text: str, line: int, path: str, words: str
) -> None:
    (mistake,) = mistakes_of(text)
    assert (mistake.line, mistake.path) == (line, path)
    said = f"{mistake.message} {mistake.hint}"
    missing = [part for part in words.split(" ... ") if part not in said]
    assert not missing, said
    assert mistake.hint, mistake.message
