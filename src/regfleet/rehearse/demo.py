"""temporary"""

import sys
from pathlib import Path
from regfleet.rehearse.docker import Docker
from regfleet.rehearse.images import Images
from regfleet.rehearse.twin import HostSpec, Twin
import os


def main() -> None:
    say = lambda line: print(line, file=sys.stderr, flush=True)
    docker = Docker(os.environ["DOCKER_HOST"])
    images = Images(docker, Path(".build/images").resolve(), say)
    verb, directory, *names = sys.argv[1:]
    place = Path(directory).resolve()
    twin = Twin(place.name, images, place)
    if verb == "down":
        twin.stop()
        return
    seeds = images.seeds()
    print(seeds)
    twin.boot([HostSpec(*name.split(":")) for name in names])
    for host in twin.hosts.values():
        print(host.name, host.address, host.container)
    print(twin.key, twin.known_hosts)


main()
