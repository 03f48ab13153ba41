"""Where messages may go. Who may not administer Winslow must not make it ask machines of its own network: neither by an
address, nor by a name that leads to one, nor by a name that leads somewhere else the second time it is looked up. So
the address itself is looked at, in the moment in which it is connected to."""

from __future__ import annotations

import ipaddress

NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """`address`: numbers, as the system's resolver gives them. What is no such address is not."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if inner is None and found in NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


class Undelivered(Exception):
    """`for_ever`: trying again is of no use. The text names no address, since that may be a secret."""

    def __init__(self, text: str, *, for_ever: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.for_ever = for_ever


FORBIDDEN = "It leads to a machine of Winslow's own network, which only an administrator may have told."
