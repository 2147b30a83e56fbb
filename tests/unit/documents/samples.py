"""Real files: what containerd prints as its defaults, what distributions and manuals ship.

containerd-*.toml is the output of `containerd config default` of Debian's 1.6.20, 1.7.24 and
2.1.9, or Debian's own /etc/containerd/config.toml.
"""

import pathlib


def texts_of(pattern):
    """The samples whose names match, by name."""
    directory = pathlib.Path(__file__).parent / "samples"
    return {file.name: file.read_text() for file in sorted(directory.glob(pattern))}
