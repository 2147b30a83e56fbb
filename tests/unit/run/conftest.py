"""No test here reads the SSH configuration or the agent of who runs it."""

import pytest

from regfleet.ssh import openssh_files, openssh_kept


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    """A home without an SSH configuration, beside which there is none of the system."""
    made = tmp_path_factory.mktemp("home")
    (made / ".ssh").mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(made))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(openssh_files, "SYSTEM", made / "none" / "ssh_config")
    openssh_kept.forget()
    yield made
    openssh_kept.forget()
