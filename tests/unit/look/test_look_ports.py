"""When somebody may stand in the way of a registry, and how he is named."""

import pytest
from making import MARK, container, desired, observed, seen_container

from regfleet.look import ports
from regfleet.look.ports import Holder

EVERYWHERE = "0.0.0.0"  # noqa: S104  compared, not bound
WANT = desired(services=(container(),))


def there(*, running=True, fleet="acme", published=(5000,)):
    listed = None if published is None else frozenset(published)
    return seen_container("regfleet-main", running, "i", "s", fleet, listed)


@pytest.mark.parametrize(
    ("found", "asked"),
    [
        (None, True),
        (there(), False),
        (there(published=None), False),
        (there(running=False), True),
        (there(published=(5001,)), True),
        (there(fleet="other"), True),
    ],
)
def test_where_somebody_listens_it_is_asked_who_unless_it_is_ours(found, asked):
    containers = {"regfleet-main": found} if found else {}
    seen = observed(services=containers, listening={5000: frozenset({"127.0.0.1"})})
    assert bool(list(ports.in_question(WANT, seen))) is asked
    quiet = observed(services=containers, listening={5001: frozenset({"127.0.0.1"})})
    assert not list(ports.in_question(WANT, quiet))


@pytest.mark.parametrize(
    ("published", "own", "other", "meets"),
    [
        ("5000:5000", "127.0.0.1", "10.0.0.9", True),
        ("10.0.0.5:5000:5000", "10.0.0.5", "10.0.0.9", False),
        ("10.0.0.5:5000:5000", "10.0.0.5", "10.0.0.5", True),
        ("10.0.0.5:5000:5000", "10.0.0.5", EVERYWHERE, True),
        ("127.0.0.1:5000:5000", "127.0.0.1", "10.0.0.9", False),
        ("[fd00::5]:5000:5000", "fd00::5", "::", True),
        ("[fd00::5]:5000:5000", "fd00::5", "fd00::6", False),
    ],
)
def test_whoever_listens_at_another_address_is_in_nobodys_way(published, own, other, meets):
    made = container(everywhere=published == "5000:5000", address=own)
    seen = observed(listening={5000: frozenset({other})})
    assert bool(list(ports.in_question(desired(services=(made,)), seen))) is meets


@pytest.mark.parametrize(
    ("lines", "holder", "words"),
    [
        (
            ["@process 812 docker-proxy", "@container web nginx:1 "],
            Holder("812 docker-proxy", "web", "nginx:1"),
            "the container web (image nginx:1), process 812 (docker-proxy)",
        ),
        (["@process 7 perl"], Holder("7 perl"), "process 7 (perl)"),
        (["noise", "@x y"], Holder(), "a process that cannot be seen"),
        (["@container old registry:2 acme"], Holder("", "old", "registry:2", "acme"), "old"),
        (["@container", "@process"], Holder(), "cannot be seen"),
        (  # Podman's containers have no label of ours
            ["@process 9 conmon", "@unit regfleet-main acme", "@container regfleet-main r:2"],
            Holder("9 conmon", "regfleet-main", "r:2", "acme", "regfleet-main"),
            "the service regfleet-main of the fleet acme, the container regfleet-main",
        ),
    ],
)
def test_it_is_named(lines, holder, words):
    found = ports.parse("reg1", [f"@begin {MARK}", *lines, f"@end {MARK}"], MARK)
    assert found == holder
    assert words in ports.refused("reg1", container(), found).message


@pytest.mark.parametrize(
    ("holder", "found", "refused"),
    [
        (Holder("81 nginx"), None, True),
        (Holder("81 nginx"), there(running=False), True),
        (Holder("81 docker-proxy"), None, True),
        (Holder("81 docker-proxy"), there(running=False, fleet="other"), True),
        # One that crashes and is started again and again: its proxy outlives it for a moment.
        (Holder("81 docker-proxy"), there(running=False), False),
        (Holder("81 docker-proxy", "web", "nginx:1"), there(running=False), True),
        (Holder("81 docker-proxy", "regfleet-old", "registry:2", "acme"), None, False),
        (Holder(), there(running=False), True),
    ],
)
def test_who_is_in_the_way(holder, found, refused):
    seen = observed(services={"regfleet-main": found} if found else {})
    assert ports.in_the_way(container(), holder, WANT, seen) is refused
