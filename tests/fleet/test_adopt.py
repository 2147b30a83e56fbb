"""Registries made by hand, in the ways of people's how-tos: recognised, adopted, brought back."""

import base64
import json

import pytest

from regfleet.fleet.load import load
from regfleet.rehearse.twin import HostSpec

# The example runs with --privileged=true, which a host in a container cannot give.
EXAMPLE = "-p 5000:5000 -v /zzyyuse/myregistry/:/tmp/registry registry:2"
BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
tls = { source = "none" }
"""
APP = "localhost:5000/team/app"
CANARY = b"canary:of-a-password"
RUNNING = "docker ps --format '{{.Names}}' | sort | tr '\\n' ' '"


@pytest.fixture(scope="module")
def twin(boot_for_module, seeds):
    twin = boot_for_module("reg1=registry.test", HostSpec("pod1", "trixie", "bare"))
    reg1 = twin.hosts["reg1"]
    for archive in (seeds.registry, seeds.busybox):
        reg1.copy_in(archive, "/root/image.tar")
        reg1.read("docker load -q -i /root/image.tar")
    return twin


@pytest.fixture
def reg1(twin):
    host = twin.hosts["reg1"]
    yield host
    host.run("docker ps -aq | xargs -r docker rm -f -v")
    host.run(
        "rm -rf /data /srv/* /zzyyuse /etc/old /var/lib/registry /var/lib/regfleet /etc/regfleet"
    )


@pytest.fixture
def run(regfleet, tmp_path):
    def command(name, *arguments):
        done = regfleet(name, *arguments, "--state-dir", tmp_path / "state")
        return done.returncode, done.stdout + done.stderr

    return command


def by_hand(host, arguments, name="old"):
    """A registry as `docker run` makes it, with an image in it."""
    host.read(f"docker run -d --name {name} {arguments}")
    pushed(host, APP)


def pushed(host, image):
    host.read(
        f"docker tag busybox:latest {image}; i=0;"
        f" until docker push -q {image}; do i=$((i + 1)); [ $i -lt 100 ]; sleep 0.5; done"
    )


def pulled(host, image=APP):
    """Pulls anew; fails where the registry has not got it."""
    host.run(f"docker rmi {image}")
    host.read(f"docker pull -q {image}")


def body(**keys):
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    return BODY + "\n".join(lines) + "\n"


def source(host, inside="/var/lib/registry"):
    """Where a container's directory is on the host, by Docker itself."""
    mounts = json.loads(host.read("docker inspect --format '{{json .Mounts}}' old"))
    return next(each["Source"] for each in mounts if each["Destination"] == inside)


def test_the_example_is_recognised_and_its_storage_named(twin, reg1, write_fleet, run):
    by_hand(reg1, EXAMPLE)
    volume = source(reg1)
    code, said = run("plan", write_fleet(twin, BODY))
    assert code == 1
    assert "the container old (image registry:2)" in said
    assert f"keeps its images in {volume} (the volume " in said
    assert "/zzyyuse/myregistry is mounted at /tmp/registry, which it does not use" in said
    assert "`adopt = true` in [registry.main] takes it over" in said


def test_the_example_is_adopted_with_its_images_and_comes_back(twin, reg1, write_fleet, run):
    by_hand(reg1, f"--restart always {EXAMPLE}")
    fleet = write_fleet(twin, body(adopt=True))
    code, said = run("apply", fleet, "--yes")
    assert code == 0, said
    assert f"1 repository, 1.1 MB copied from {source_aside(reg1)}" in said
    assert reg1.read(RUNNING).split() == ["regfleet-main"]
    pulled(reg1)
    code, said = run("plan", fleet, "--detailed-exitcode")
    assert code == 0, said
    code, said = run("rollback", fleet, "--yes")
    assert code == 0, said
    assert reg1.read(RUNNING).split() == ["old"]
    assert policy(reg1) == "always"
    assert reg1.run("ls /var/lib/registry").returncode != 0
    pulled(reg1)
    code, said = run("apply", fleet, "--yes")
    assert code == 0, said
    code, said = run("destroy", fleet, "--yes")
    assert code == 0, said
    assert "container old" in said
    assert "it is started again on port 5000: it served there before regfleet" in said
    assert reg1.read(RUNNING).split() == ["old"]
    assert policy(reg1) == "always"
    pulled(reg1)


def source_aside(host):
    mounts = json.loads(host.read("docker inspect --format '{{json .Mounts}}' old-before-regfleet"))
    return next(each["Source"] for each in mounts if each["Destination"] == "/var/lib/registry")


def policy(host):
    return host.read("docker inspect --format '{{.HostConfig.RestartPolicy.Name}}' old").strip()


CONFIG = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: /store
http:
  addr: :5000
  secret: not-to-be-shown
"""
# What `docker run` gets, and where the images are on the host then.
FORMS = {
    "a bind mount": ("-p 5000:5000 -v /data:/var/lib/registry", "/data"),
    "another root by variable": (
        "-p 5000:5000 -e REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/images/a -v /srv/i:/images",
        "/srv/i/a",
    ),
    "a mounted configuration": (
        "-p 5000:5000 -v /etc/old:/etc/docker/registry -v /srv/store:/store",
        "/srv/store",
    ),
    "the host's network": (
        "--net host --restart always -e REGISTRY_HTTP_ADDR=:5000 -v /data:/var/lib/registry",
        "/data",
    ),
    "a named volume": (
        "-p 5000:5000 -v images:/var/lib/registry",
        "/var/lib/docker/volumes/images/_data",
    ),
}
FEW = ("a bind mount", "a mounted configuration", "a named volume")


@pytest.mark.parametrize(
    "form",
    [*FEW, *(pytest.param(each, marks=pytest.mark.soak) for each in FORMS if each not in FEW)],
)
def test_it_is_adopted_with_its_images_where_they_are(twin, reg1, write_fleet, run, form):
    arguments, where = FORMS[form]
    reg1.run("mkdir -p /etc/old && cat >/etc/old/config.yml", CONFIG)
    by_hand(reg1, f"{arguments} registry:2")
    code, said = run("plan", write_fleet(twin, BODY))
    assert (code, f"keeps its images in {where}" in said) == (1, True), said
    assert "does not use" not in said
    fleet = write_fleet(twin, body(adopt=True, storage=where))
    code, said = run("apply", fleet, "--yes")
    assert code == 0, said
    assert f"1 repository, 1.1 MB stay in {where}" in said
    assert "not-to-be-shown" not in said
    assert reg1.read(RUNNING).split() == ["regfleet-main"]
    pulled(reg1)
    assert run("destroy", fleet, "--yes")[0] == 0
    assert reg1.read(RUNNING).split() == ["old"]
    pulled(reg1)


def test_images_on_the_same_file_system_are_linked_and_part_ways(twin, reg1, write_fleet, run):
    by_hand(reg1, f"{FORMS['a bind mount'][0]} registry:2")
    fleet = write_fleet(twin, body(adopt=True, storage="/srv/registry"))
    code, said = run("apply", fleet, "--yes")
    assert code == 0, said
    assert "1 repository, 1.1 MB from /data, linked: no more space" in said
    blobs = "docker/registry/v2/blobs"
    shared = reg1.read(f"find /data/{blobs} /srv/registry/{blobs} -name data -printf '%i %n\\n'")
    assert {line.split()[1] for line in shared.splitlines()} == {"2"}
    tags = "docker/registry/v2/repositories/team/app/_manifests/tags/latest/current/link"
    assert reg1.read(f"stat -c %h /data/{tags} /srv/registry/{tags}").split() == ["1", "1"]
    pushed(reg1, "localhost:5000/team/later")
    code, said = run("rollback", fleet, "--yes")
    assert code == 0, said
    assert "/srv/registry stays: images were pushed there since" in said
    pulled(reg1)
    assert "later" not in reg1.read("ls /data/docker/registry/v2/repositories/team")
    code, said = run("apply", fleet, "--yes")
    assert code == 1
    assert "/srv/registry holds 2 repositories" in said
    assert 'write storage = "/data"' in said


def test_images_inside_the_container_are_copied_out(twin, reg1, write_fleet, run):
    by_hand(reg1, "-p 5000:5000 -e REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/inside registry:2")
    fleet = write_fleet(twin, body(adopt=True))
    code, said = run("apply", fleet, "--yes")
    assert code == 0, said
    assert "images copied from /inside in the container old" in said
    pulled(reg1)


REFUSED = {
    "one that goes when it stops": (
        "--rm -p 5000:5000 registry:2",
        "it was run with --rm, so it is gone when it stops",
    ),
    "one of Swarm's": (
        "--label com.docker.swarm.service.name=reg -p 5000:5000 registry:2",
        "it belongs to the Swarm service reg",
    ),
    "images elsewhere": (
        "-p 5000:5000 -e REGISTRY_STORAGE=inmemory registry:2",
        "it keeps its images by the driver inmemory, not in a directory",
    ),
    "no registry": (
        "-p 5000:5000 busybox:latest httpd -f -p 5000",
        "it is no registry that was found",
    ),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_cannot_stand_aside_is_refused(twin, reg1, write_fleet, run, form):
    arguments, why = REFUSED[form]
    reg1.read(f"docker run -d --name old {arguments}")
    code, said = run("apply", write_fleet(twin, body(adopt=True)), "--yes")
    assert code == 1
    assert why in said
    assert reg1.read(RUNNING).split() == ["old"]


def test_one_that_a_unit_starts_again_is_refused_with_the_unit(twin, reg1, write_fleet, run):
    unit = "[Service]\nExecStart=/usr/bin/docker run --name old -p 5000:5000 registry:2\n"
    reg1.run("cat >/etc/systemd/system/myreg.service", unit)
    reg1.read("systemctl daemon-reload && systemctl start myreg")
    reg1.read("for i in $(seq 40); do ss -Hltn | grep -q :5000 && exit; sleep 0.5; done; exit 1")
    code, said = run("plan", write_fleet(twin, body(adopt=True)))
    reg1.read("systemctl stop myreg; rm /etc/systemd/system/myreg.service; systemctl daemon-reload")
    assert code == 1
    assert "the unit myreg starts it again when it stops" in said
    assert "systemctl disable --now myreg" in said


def test_where_the_new_one_does_not_serve_the_old_one_does(twin, reg1, write_fleet, run):
    by_hand(reg1, EXAMPLE)
    text = body(adopt=True, image="busybox:latest").replace("registry_tar", "busybox_tar")
    code, said = run("apply", write_fleet(twin, text), "--yes")
    assert code == 1
    assert "regfleet-main cannot be run" in said
    assert reg1.read(RUNNING).split() == ["old"]
    pulled(reg1)
    assert reg1.run("ls -d /var/lib/regfleet /var/lib/registry /etc/regfleet").stdout == ""


@pytest.fixture
def packaged(reg1):
    """The distribution's registry with an image in it, without the users that it asks for."""
    config = "/etc/docker/registry/config.yml"
    reg1.read("apt-get -q update && apt-get -q -y install docker-registry")
    reg1.read(f"sed -i '/^auth:/,/^health:/d' {config} && systemctl restart docker-registry")
    pushed(reg1, APP)
    yield reg1
    reg1.run(
        "DEBIAN_FRONTEND=noninteractive apt-get -q -y purge docker-registry; rm -rf /var/lib/d*y"
    )


# By the runtime that takes its place: keys, and what the plan says of the images.
PACKAGED = {
    "container": ({}, "1 repository, 1.1 MB copied from /var/lib/docker-registry"),
    "package": (
        {"runtime": "package", "storage": "/var/lib/docker-registry"},
        "1 repository, 1.1 MB stay in /var/lib/docker-registry",
    ),
}


@pytest.mark.parametrize("runtime", ["package", pytest.param("container", marks=pytest.mark.soak)])
def test_the_distributions_service_is_adopted(twin, packaged, write_fleet, run, runtime):
    keys, kept = PACKAGED[runtime]
    state = "systemctl is-enabled docker-registry; systemctl is-active docker-registry"
    code, said = run("plan", write_fleet(twin, BODY))
    assert (code, "the service docker-registry, process" in said) == (1, True), said
    assert "keeps its images in /var/lib/docker-registry" in said
    text = body(adopt=True, **keys)
    if keys:
        text = text.replace('image_archive = "$registry_tar"\n', "")
    fleet = write_fleet(twin, text)
    code, said = run("apply", fleet, "--yes")
    assert code == 0, said
    assert kept in said
    pulled(packaged)
    if not keys:
        assert packaged.run(state).stdout.split() == ["disabled", "inactive"]
    assert run("plan", fleet, "--detailed-exitcode")[0] == 0
    for command in ("rollback", "destroy"):
        code, said = run(command, fleet, "--yes")
        assert code == 0, said
        assert packaged.run(state).stdout.split() == ["enabled", "active"]
        assert "/etc/docker/registry/config.yml" in packaged.read("ps -o args= -C docker-registry")
        pulled(packaged)
        if command == "rollback":
            assert run("apply", fleet, "--yes")[0] == 0


COMPOSE = """\
version: "3"
services:
  hub:
    image: registry:2
    restart: always
    ports: ["5000:5000"]
    environment:
      REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: /images
    volumes: ["./images:/images"]
"""


@pytest.fixture
def project(reg1):
    """A project of the distribution's Compose, with an image in its registry."""
    reg1.read("apt-get -q update && apt-get -q -y --no-install-recommends install docker-compose")
    reg1.run("mkdir -p /srv/hub && cat >/srv/hub/docker-compose.yml", COMPOSE)
    reg1.read("cd /srv/hub && docker-compose up -d")
    pushed(reg1, APP)
    yield reg1
    reg1.run("cd /srv/hub && docker-compose down")


def test_a_compose_project_is_adopted(twin, project, write_fleet, run):
    up = "cd /srv/hub && docker-compose ps --services --filter status=running"
    code, said = run("plan", write_fleet(twin, BODY))
    assert code == 1
    assert "keeps its images in /srv/hub/images" in said
    fleet = write_fleet(twin, body(adopt=True, storage="/srv/hub/images"))
    code, said = run("apply", fleet, "--yes")
    assert code == 0, said
    assert "hub" in said
    assert project.read(RUNNING).split() == ["regfleet-main"]
    pulled(project)
    assert project.read(up) == ""
    code, said = run("rollback", fleet, "--yes")
    assert code == 0, said
    assert project.read(up) == "hub"
    pulled(project)
    project.read("cd /srv/hub && docker-compose up -d && docker-compose restart")  # as before
    pulled(project)


@pytest.fixture
def podmans(twin, seeds):
    """A registry that root's Podman runs, with an image in it."""
    host = twin.hosts["pod1"]
    host.run(
        "export DEBIAN_FRONTEND=noninteractive; apt-get -q update && "
        "apt-get -q -y --no-install-recommends install podman crun netavark nftables",
        timeout=600,
    )
    for archive in (seeds.registry, seeds.busybox):
        host.copy_in(archive, "/root/image.tar")
        host.read("podman load -q -i /root/image.tar")
    host.read(
        "mkdir -p /srv/images; podman run -d --name old -p 5000:5000 --restart always "
        "-v /srv/images:/var/lib/registry registry:2"
    )
    yield host
    host.run("podman rm -f old")


def test_podmans_is_recognised_and_says_how_it_is_taken_over(twin, podmans, write_fleet, run):
    text = body(adopt=True, runtime="podman", storage="/srv/images").replace("$reg1", "$pod1")
    fleet = write_fleet(twin, text.replace("registry.test", "pod1"))
    code, said = run("plan", fleet)
    said = " ".join(said.split())
    assert code == 1
    assert "keeps its images in /srv/images" in said
    assert "It cannot be adopted: Podman runs it" in said
    advice = '`podman stop old`, declare `storage = "/srv/images"`, then apply'
    assert advice in said
    podmans.read("podman stop old")
    code, said = run("apply", fleet, "--yes")
    assert code == 0, said
    code, said = run("destroy", fleet, "--yes")
    assert code == 0, said


DAEMON = """
{"insecure-registries": ["reg1:5000", "10.0.0.0/8"], "registry-mirrors": ["https://m.test"]}
"""
LOGINS = {
    "auths": {
        "reg1:5000": {"auth": base64.b64encode(b"ci:" + CANARY).decode()},
        "hub.example.com:5443": {"auth": base64.b64encode(b"bob:" + CANARY).decode()},
        "https://index.docker.io/v1/": {"auth": base64.b64encode(b"me:" + CANARY).decode()},
    }
}


@pytest.fixture
def lived_in(reg1):
    """A host that people have set up: trust, a mirror, users and logins."""
    reg1.run("mkdir -p /etc/docker && cat >/etc/docker/daemon.json", DAEMON)
    reg1.run("mkdir -p /root/.docker && cat >/root/.docker/config.json", json.dumps(LOGINS))
    reg1.run("mkdir -p /srv/auth && cat >/srv/auth/htpasswd", "ci:$2y$05$notahash\nalice:x\n")
    reg1.run("mkdir -p /etc/docker/certs.d/hub.example.com:5443; cd /etc/docker/certs.d/*3"
             " && echo ca >ca.crt")  # fmt: skip
    yield reg1
    reg1.run("rm -rf /etc/docker/daemon.json /etc/docker/certs.d /root/.docker")


def test_a_fleet_file_of_what_a_host_has(twin, lived_in, regfleet, tmp_path):
    variables = ("=htpasswd", "_HTPASSWD_REALM=r", "_HTPASSWD_PATH=/auth/htpasswd")
    flags = " ".join(f"-e REGISTRY_AUTH{each}" for each in variables)
    lived_in.read(
        f"docker run -d --name old {flags} -v /srv/auth:/auth -p 5000:5000"
        " -v /data:/var/lib/registry -e REGISTRY_HTTP_SECRET=not-to-be-shown registry:2"
    )
    output = tmp_path / "imported.toml"
    way = ("--user", "root", "--key", twin.key, "--known-hosts", twin.known_hosts)
    done = regfleet("import", lived_in.address, *way, "--output", output)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr + output.read_text()
    assert CANARY.decode() not in said
    assert "not-to-be-shown" not in said
    assert "notahash" not in said
    assert regfleet("validate", output).returncode == 0
    found = load(output)
    main, hub = found.registries["main"], found.registries["hub-example-com"]
    assert (main.endpoint, main.storage, main.adopt) == ("reg1:5000", "/data", True)
    assert ([each.name for each in main.users], main.tls.source) == (["ci", "alice"], "none")
    assert (hub.endpoint, hub.external) == ("hub.example.com:5443", True)
    client = found.clients["reg1"]
    assert [each.url for each in client.mirrors] == ["https://m.test"]
    assert [(each.registry, each.user) for each in client.logins] == [
        ("main", "ci"),
        ("hub-example-com", "bob"),
    ]
    assert "10.0.0.0/8" in said
    assert "https://index.docker.io/v1/; left out" in said
    again = regfleet("import", lived_in.address, *way, "--output", output)
    assert (again.returncode, "already exists" in again.stderr) == (2, True)
    planned = regfleet(
        "plan", output, "--no-secrets", "--state-dir", tmp_path / "state",
        MAIN_CI_PASSWORD="c", MAIN_ALICE_PASSWORD="a", HUB_EXAMPLE_COM_BOB_PASSWORD="b",
    )  # fmt: skip
    assert "container old" in planned.stdout, planned.stdout + planned.stderr
    assert "stay in /data" in planned.stdout or "/data holds no images yet" in planned.stdout
