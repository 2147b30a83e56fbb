"""The work of a regfleet apply as plain pyinfra operations; BENCH_WANTED names what is wanted."""

import json
import os
from pathlib import Path

from pyinfra import host
from pyinfra.facts.docker import DockerImage
from pyinfra.operations import docker, files, server, systemd

wanted = json.loads(Path(os.environ["BENCH_WANTED"]).read_text())


def directories(group):
    for item in wanted[group]["directories"]:
        files.directory(
            name=f"Directory {item['path']}",
            path=item["path"],
            user="root",
            group="root",
            mode=item["mode"],
        )


def copies(group):
    return [
        files.put(
            name=f"File {item['path']}",
            src=item["source"],
            dest=item["path"],
            user="root",
            group="root",
            mode=item["mode"],
            create_remote_dir=False,
        )
        for item in wanted[group]["files"]
    ]


systemd.service(name="Docker runs", service="docker.service", running=True)
directories("client")
daemon = copies("client")[-1]
systemd.service(
    name="Docker reloads", service="docker.service", reloaded=True, _if=daemon.did_change
)

if "registries" in host.groups:
    directories("registry")
    copies("registry")
    if not host.get_fact(DockerImage, object_id=wanted["image"]):
        files.put(name="Image archive", src=wanted["archive"], dest="/var/tmp/registry.tar")
        server.shell(
            name="Image",
            commands=["docker load -q -i /var/tmp/registry.tar", "rm /var/tmp/registry.tar"],
        )
    docker.container(
        name="Registry",
        container=wanted["container"],
        image=wanted["image"],
        ports=["5000:5000"],
        volumes=wanted["volumes"],
        restart_policy="always",
        entrypoint="registry",
        command="serve /etc/regfleet/config.yml",
    )

docker.login(
    name="Login",
    username=wanted["user"],
    password=wanted["password"],
    server=wanted["endpoint"],
    _retries=5,
    _retry_delay=1,
)
