"""The work of a regfleet apply as plain pyinfra operations; BENCH_WANTED names what is wanted."""

import json
import os
from pathlib import Path

from pyinfra import host
from pyinfra.facts.docker import DockerImage
from pyinfra.operations import docker, files, server, systemd

wanted = json.loads(Path(os.environ["BENCH_WANTED"]).read_text())[host.name]

systemd.service(name="Docker runs", service="docker.service", running=True)
for item in wanted["directories"]:
    files.directory(
        name=f"Directory {item['path']}",
        path=item["path"],
        user="root",
        group="root",
        mode=item["mode"],
    )
for item in wanted["files"]:
    copied = files.put(
        name=f"File {item['path']}",
        src=item["source"],
        dest=item["path"],
        user="root",
        group="root",
        mode=item["mode"],
        create_remote_dir=False,
    )
systemd.service(  # daemon.json is the last file
    name="Docker reloads", service="docker.service", reloaded=True, _if=copied.did_change
)

container = wanted["container"]
if container:
    if not host.get_fact(DockerImage, object_id=container["image"]):
        files.put(name="Image archive", src=container["archive"], dest="/var/tmp/registry.tar")
        server.shell(
            name="Image",
            commands=["docker load -q -i /var/tmp/registry.tar", "rm /var/tmp/registry.tar"],
        )
    docker.container(
        name="Registry",
        container=container["name"],
        image=container["image"],
        restart_policy="always",
        extra_args=container["arguments"],
        command=" ".join(container["command"]),
    )

docker.login(
    name="Login",
    username=wanted["user"],
    password=wanted["password"],
    server=wanted["endpoint"],
    _retries=5,
    _retry_delay=1,
)
