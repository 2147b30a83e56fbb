"""The smoke test: each client's own engine pushes an image to a registry and pulls it back.

`smoke.sh` runs on each client (one command), `render` writes its program for standard input, and
`outcome` parses its checks. `registry_api.checks` tests from here what a registry must refuse.
"""
