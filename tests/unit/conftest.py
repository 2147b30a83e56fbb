"""Puts this directory on the path, for `making`; no test here asserts on elapsed time."""

import os
import shutil
import subprocess

import pytest
from hypothesis import settings

settings.register_profile("unit", deadline=None, max_examples=60)
settings.load_profile("unit")


@pytest.fixture(scope="session")
def version_2():
    """Leaves out what a registry of version 2 alone does, where the tests run with another."""
    binary = os.environ.get("REGFLEET_REGISTRY_BINARY") or shutil.which("docker-registry")
    if binary:
        done = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
        if "distribution/v3" in done.stdout:
            pytest.skip("of version 2 alone, and REGFLEET_REGISTRY_BINARY is a version 3")
