"""Which network of 127.0.0.0/8 a gateway has for what is behind it on its host. Pure.

All of 127.0.0.0/8 is the host itself (ip(7), RFC 6890). A gateway's addresses there are made from
its port and a network, `127.NETWORK.HIGH.LOW`: so what is behind two gateways of a host does not
meet. Two that would meet all the same are refused (`fleet.check.gateways`).
"""

from __future__ import annotations

import hashlib

_OWN = 82
_ADDRESSES = range(83, 183)
_NAMES = range(183, 255)


def network(address: str = "", name: str = "") -> int:
    """The second octet.

    Args:
        address: the one address that the gateway listens at; empty for all addresses.
        name: of its registry, where another registry has its port, too, and comes before it.
    """
    if address:
        return _chosen(address, _ADDRESSES)
    return _chosen(name, _NAMES) if name else _OWN


def _chosen(text: str, among: range) -> int:
    return among[hashlib.sha256(text.encode()).digest()[0] % len(among)]
