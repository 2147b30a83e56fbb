"""The smoke test: proof, by the client's own engine, that a registry takes and gives images.

`smoke.sh` runs on each client (one command), `render` writes what it is to test, `outcome` reads
what it found; `refusals` asks each registry, from here, whether it turns away whom it should.
"""
