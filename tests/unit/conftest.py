"""Puts this directory on the path, for `making`; no test here asserts on elapsed time."""

import os
import shutil
import subprocess

import pytest
from hypothesis import settings

settings.register_profile("unit", deadline=None, max_examples=60)
settings.load_profile("unit")


@pytest.fixture(scope="session")
def registry_version():
    """What the registry that the tests run with says of its version; empty where there is none."""
    binary = os.environ.get("REGFLEET_REGISTRY_BINARY") or shutil.which("docker-registry")
    if not binary:
        return ""
    done = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="session")
def version_2(registry_version):
    """Leaves out what a registry of version 2 alone does."""
    if "distribution/v3" in registry_version:
        pytest.skip("of version 2 alone, and REGFLEET_REGISTRY_BINARY is a version 3")


@pytest.fixture(scope="session")
def forbids_deletion(registry_version):
    """Leaves out what a registry does not keep that deletes tags though deletion is off."""
    if "v3.0.0" in registry_version:
        pytest.skip("registry 3.0.0 deletes tags also where deletion is off; 3.1 does not")
