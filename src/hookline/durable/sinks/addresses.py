"""Which addresses a webhook may be sent to: public ones, and no others unless somebody says so.

A URL that comes from a customer must not reach what only this machine can reach: its own services, its network, the
metadata of the cloud that it runs in. Names are of no use for that, since their owner decides what they stand for; only
the address that is connected to is.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a host, for a port."""

# IANA's registries of special-purpose addresses (RFC 6890 and what came after), and those of clouds that are not in it.
_REFUSED_4: Final = (
    ("unspecified", "0.0.0.0/8"),
    ("private", "10.0.0.0/8"),
    ("of a carrier's own network", "100.64.0.0/10"),
    ("loopback", "127.0.0.0/8"),
    ("of the metadata of a cloud", "168.63.129.16/32"),
    ("link-local, where clouds keep their metadata", "169.254.0.0/16"),
    ("private", "172.16.0.0/12"),
    ("reserved", "192.0.0.0/24"),
    ("for documentation", "192.0.2.0/24"),
    ("a relay of 6to4", "192.88.99.0/24"),
    ("private", "192.168.0.0/16"),
    ("for benchmarks", "198.18.0.0/15"),
    ("for documentation", "198.51.100.0/24"),
    ("for documentation", "203.0.113.0/24"),
    ("multicast", "224.0.0.0/4"),
    ("reserved", "240.0.0.0/4"),
)
_REFUSED_6: Final = (
    ("unspecified", "::/128"),
    ("loopback", "::1/128"),
    ("private", "fc00::/7"),
    ("link-local", "fe80::/10"),
    ("site-local", "fec0::/10"),
    ("multicast", "ff00::/8"),
    ("reserved for protocols", "2001::/23"),
    ("for documentation", "2001:db8::/32"),
    ("a 6to4 tunnel", "2002::/16"),
    ("for documentation", "3fff::/20"),
)
_NETWORKS_4: Final = tuple((why, IPv4Network(network)) for why, network in _REFUSED_4)
_NETWORKS_6: Final = tuple((why, IPv6Network(network)) for why, network in _REFUSED_6)
_PUBLIC_6: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")
"""Networks without IPv4 reach IPv4 through it (RFC 6052): the address that counts is the one within."""


def refusal(address: str) -> str | None:
    """Why nothing is sent to an address.

    Args:
        address: An IP address, as resolvers give it; a zone (``%eth0``) may follow.

    Returns:
        What it is, for errors; None if it is public.

    Example:
        >>> refusal("169.254.169.254")
        'link-local, where clouds keep their metadata'
        >>> refusal("::ffff:127.0.0.1")
        'loopback'
        >>> refusal("9.9.9.9") is None
        True
    """
    parsed = ip_address(address)
    if isinstance(parsed, IPv4Address):
        return next((why for why, network in _NETWORKS_4 if parsed in network), None)
    within = _within(parsed)
    if within is not None:
        return refusal(str(within))
    known = next((why for why, network in _NETWORKS_6 if parsed in network), None)
    return known or (None if parsed in _PUBLIC_6 else "not a public address")


def _within(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that really is connected to."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None


def literal(host: str) -> str | None:
    """The address that a host is, in any of the ways that the system reads one; None if it is a name.

    Example:
        >>> literal("2130706433"), literal("0x7f.1"), literal("example.com")
        ('127.0.0.1', '127.0.0.1', None)
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    return str(found[0][4][0])


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, as the system knows them.

    Raises:
        OSError: It knows none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
