"""The doctor's lines, parsed."""

import re
from pathlib import Path

from regfleet.doctor.signs import Disk, Try, parse

BASIC = (
    "@uid 0",
    "@disk /dev/vda 264212084 30954148 75436764 30% /var/lib/docker",
    "@inodes /dev/vda 1000000 20 999980 1% /var/lib/docker",
    "@disk /dev/vda 264212084 30954148 75436764 30% /var/lib/docker",
    "@disk map on /x y 1024 1024 0 100% /a mount",
    "@inodes - - - - - /a mount",
    "@inodes btrfs 0 0 0 - /var/lib/docker",
    "@name r.example 10.0.0.1 10.0.0.2 ",
    "@name gone.example ",
    "@listener 127.0.0.1:5000 docker-proxy 123",
    "@listener [::1]:5001",
    "@cert /etc/docker/certs.d/r:5000 ca.crt",
    "@cert /etc/docker/certs.d/r:5000 my file.cert",
    "@try r:5000 root 1 Error: no",
    "@try r:5000 ops 124",
    "@try nonsense",
    "@offer registry:2 1 no way",
    "@offer busybox 0",
    "@proxy http ",
    "@proxy https http://***@p:1",
    "@proxy no a,b",
    "@reaches p:1 no curl: (7) refused",
    "@reaches [::1]:2 no",
    "@reaches q:3 yes",
    "@word last words",
    "@limited toomanyrequests",
    "@state regfleet-main exited 2",
    "@last regfleet-main panic",
    "noise",
)


def test_every_kind_of_line():
    signs = parse([*BASIC, "@examined"])
    assert signs.disks == (Disk("/var/lib/docker", 75436764, 999980), Disk("/a mount", 0, None))
    assert signs.names == {"r.example": ("10.0.0.1", "10.0.0.2"), "gone.example": ()}
    assert signs.ports == {"127.0.0.1:5000": "docker-proxy 123", "[::1]:5001": ""}
    assert signs.certificates == {"/etc/docker/certs.d/r:5000": ("ca.crt", "my file.cert")}
    assert signs.tries == (Try("r:5000", "root", 1, "Error: no"), Try("r:5000", "ops", 124, ""))
    assert signs.offers == {"registry:2": "no way"}
    assert signs.proxies == {"https": "http://***@p:1", "no": "a,b"}
    assert signs.unreached == {"p:1": "curl: (7) refused", "[::1]:2": ""}
    assert (signs.words, signs.limited) == (("last words",), "toomanyrequests")
    assert (signs.states, signs.last) == (
        {"regfleet-main": "exited 2"},
        {"regfleet-main": "panic"},
    )
    assert (signs.complete, signs.stopped) == (True, False)


def test_what_was_cut_off_is_not_complete():
    assert not parse(BASIC).complete
    assert parse([]).disks == ()


def test_no_line_of_the_doctors_has_a_word_of_the_looks():
    """Both programs speak in one answer, and each is read for itself."""
    source = Path(__file__).resolve().parents[3] / "src" / "regfleet"

    def words(pattern):
        text = "\n".join(path.read_text() for path in source.rglob(pattern))
        return set(re.findall(r"(?:\bsay ['\"]?|@)([a-z]{3,})\b(?= |['\"])", text))

    looks = words("*look.sh")
    assert {"engine", "port"} <= looks
    doctors = words("*doctor.sh")
    assert {"listener", "disk", "try", "word"} <= doctors
    assert looks & doctors == set()
