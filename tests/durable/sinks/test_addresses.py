"""Which addresses webhooks are sent to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis.strategies import ip_addresses

from hookline import RegistrationError
from hookline.durable import Webhook
from hookline.durable.sinks.addresses import refusal, resolve

from .shop import SECRET

REFUSED = {
    "0.0.0.0": "unspecified",
    "0.1.2.3": "unspecified",
    "10.0.0.1": "private",
    "100.64.0.1": "carrier",
    "100.100.100.200": "carrier",  # the metadata of Alibaba's cloud
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "168.63.129.16": "metadata",  # Azure's
    "169.254.169.254": "link-local",  # AWS, Google, Azure, ...
    "169.254.170.2": "link-local",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.0.0.192": "reserved",  # Oracle's
    "192.0.2.1": "documentation",
    "192.88.99.1": "6to4",
    "192.168.1.1": "private",
    "198.18.0.1": "benchmarks",
    "203.0.113.5": "documentation",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "::": "unspecified",
    "::1": "loopback",
    "::7f00:1": "not a public",  # an IPv4 address in IPv6, as it was written once
    "::ffff:127.0.0.1": "loopback",
    "::ffff:10.0.0.1": "private",
    "::ffff:169.254.169.254": "link-local",
    "::ffff:0:127.0.0.1": "not a public",
    "64:ff9b::7f00:1": "loopback",
    "64:ff9b::169.254.169.254": "link-local",
    "64:ff9b:1::7f00:1": "not a public",
    "100::1": "not a public",
    "2001::1": "protocols",  # Teredo
    "2001:db8::1": "documentation",
    "2002:7f00:1::": "6to4",
    "3fff::1": "documentation",
    "5f00::1": "not a public",
    "fc00::1": "private",
    "fd00:ec2::254": "private",  # the metadata of AWS
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "fec0::1": "site-local",
    "ff02::1": "multicast",
}
ALLOWED = [
    "1.1.1.1",
    "9.9.9.9",
    "100.63.255.255",
    "172.15.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:80b::200e",
    "::ffff:9.9.9.9",
    "64:ff9b::9.9.9.9",
]
STAND_FOR_IPV4 = [IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96")]
WRITTEN_ODDLY = [
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://127.1/",
    "http://017700000001/",
    "http://0/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[64:ff9b::7f00:1]/",
    "https://169.254.169.254/latest/meta-data/",
]


@pytest.mark.parametrize(("address", "why"), REFUSED.items())
def test_address_is_refused(address: str, why: str) -> None:
    assert why in str(refusal(address))


@pytest.mark.parametrize("address", ALLOWED)
def test_address_is_allowed(address: str) -> None:
    assert refusal(address) is None


@given(ip_addresses())
def test_what_is_not_global_is_always_refused(address: IPv4Address | IPv6Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        within = IPv4Address(int(address) & 0xFFFFFFFF)  # of an address that stands for one of IPv4
        assert refusal(str(address)) is not None or (
            any(address in network for network in STAND_FOR_IPV4) and within.is_global
        )


@pytest.mark.parametrize("url", WRITTEN_ODDLY)
def test_url_of_such_an_address_is_refused_at_once_however_it_is_written(url: str) -> None:
    with pytest.raises(RegistrationError, match="allow_private=True"):
        Webhook(url, SECRET)
    assert Webhook(url, SECRET, allow_private=True).origin


async def test_system_is_asked_for_all_addresses_of_a_name() -> None:
    assert set(await resolve("localhost", 80)) <= {"127.0.0.1", "::1"}
