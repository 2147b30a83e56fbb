"""The hosts for plain pyinfra; BENCH_HOSTS names a JSON file with their addresses."""

import json
import os
from pathlib import Path

_known = json.loads(Path(os.environ["BENCH_HOSTS"]).read_text())
_every = [
    (
        name,
        {
            "ssh_hostname": address,
            "ssh_user": "root",
            "ssh_key": _known["key"],
            "ssh_known_hosts_file": _known["known_hosts"],
            "ssh_strict_host_key_checking": "yes",
        },
    )
    for name, address in _known["hosts"].items()
]

clients = _every
