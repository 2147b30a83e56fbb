"""Throwaway hosts in containers on a local engine: `regfleet rehearse`, fleet tests, `make demo`.

Here live the engine, the hosts' images and the hosts themselves. What is done to the hosts
once they are up is not here: they are reached over SSH like any other.
"""
