"""Callers' addresses, told as networks: a whole address is personal, and no question here needs it."""

import ipaddress
from functools import lru_cache

_KEPT_BITS = {4: 24, 6: 48}


@lru_cache(maxsize=1024)
def network_of(address: str) -> str | None:
    """Return the network of an IP address, as its first address; None for what is no address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    known = mapped or ip
    network = ipaddress.ip_network((known, _KEPT_BITS[known.version]), strict=False)
    return str(network.network_address)
