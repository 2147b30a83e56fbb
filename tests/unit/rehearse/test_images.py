import sys

import pytest

from regfleet.engines import ENGINES
from regfleet.rehearse.docker import Docker
from regfleet.rehearse.images import FALLBACK, NOT_TO_BE_HAD, VARIANTS, Images, variant_for


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_can_be_rehearsed_or_is_known_not_to_be(name):
    """On an image that has it, by its package, or it is in the list of those that no Debian has."""
    program = getattr(sys.modules[type(ENGINES[name]).__module__], "PROGRAM", None)
    packaged = program is not None and "apt-get" in program.packages
    on_an_image = variant_for(name) != FALLBACK
    assert (packaged or on_an_image) is (name not in NOT_TO_BE_HAD)
    assert variant_for(name) in VARIANTS


def test_what_is_built_already_is_found_by_its_recipe(tmp_path):
    images = Images(Docker(f"unix://{tmp_path}/none.sock"), tmp_path)
    assert images.has("bookworm", "light") is False
    images.root_filesystem("bookworm", "light").touch()
    assert images.has("bookworm", "light") is True
    assert images.has("trixie", "light") is False
    assert images.tag("bookworm", "light").startswith("regfleet-host:bookworm-light-")
