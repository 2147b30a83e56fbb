"""The proof: clients that changed, or whose registry did, push and pull; registries refuse."""

from regfleet.deploy import smoke

smoke(name="Smoke test")
