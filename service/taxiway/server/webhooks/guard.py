"""Which machines may be told: public ones, and those on networks that the settings name.

Whoever may name an address could have the service call what only the service can reach. A look at the name is no
protection, since a name may lead elsewhere a moment later; so the address is looked at when the socket for the
connection to it is made, which is the last moment and the only one that counts.
"""

import socket
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver

#: Networks whose addresses carry an IPv4 address in their last four bytes: NAT64.
_TRANSLATED = tuple(map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")))

#: From the look at the name to the end of the answer's headers.
TIMEOUT_S = 20.0


class ForbiddenAddressError(OSError):
    """The address is none that may be called."""


class Guard:
    """Knows which addresses may be called. `networks` are private ones that may be, too."""

    def __init__(self, networks: Sequence[str]) -> None:
        self.networks = tuple(map(ip_network, networks))

    def admits(self, address: str, *, public: bool = True) -> bool:
        """Return whether an IP address may be called: one of the networks, and with `public` any public one."""
        try:
            found = ip_address(address)
        except ValueError:  # no address as such: 127.1, 2130706433, fe80::1%eth0
            return False
        meant = [found, *_inside(found)]
        if any(each in network for each in meant for network in self.networks):
            return True
        return public and all(each.is_global and not each.is_multicast for each in meant)

    def session(self, *, public: bool, resolver: AbstractResolver | None = None) -> ClientSession:
        """Return a session that connects to such addresses only. It keeps no connection and no cookie."""

        def make_socket(info: tuple[Any, ...]) -> socket.socket:
            family, kind, protocol, _, address = info
            if not self.admits(str(address[0]), public=public):
                raise ForbiddenAddressError("The address is none that may be called.")
            return socket.socket(family=family, type=kind, proto=protocol)

        return ClientSession(
            connector=TCPConnector(
                limit=0,
                force_close=True,
                use_dns_cache=False,
                resolver=resolver,
                socket_factory=make_socket,
            ),
            timeout=ClientTimeout(total=TIMEOUT_S),
            cookie_jar=DummyCookieJar(),
            trust_env=False,
        )


def _inside(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    """Yield the IPv4 addresses that an IPv6 address stands for on its way."""
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if any(address in network for network in _TRANSLATED):
        yield IPv4Address(address.packed[-4:])
