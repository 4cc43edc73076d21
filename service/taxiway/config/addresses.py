"""Readers of addresses: where to listen, whom to call, who may call.

Each raises `ValueError` with what is accepted, worded to follow "must be". None of them shows an address
that may carry a password; the words that use them are private.
"""

import re
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from taxiway.vendors import Vendor

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]")
_ARCHIVE = re.compile(r"file:///[^\s/].*|(s3|gs|az)://[A-Za-z0-9]\S*")
_NETWORKS = "a list of networks such as 10.0.0.0/8 or fd00::/8"
_DATABASE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(//)?\S+")


def host(value: object) -> str:
    """Return an address to listen on."""
    if isinstance(value, str):
        bare = value.strip().removeprefix("[").removesuffix("]")
        if _is_ip(bare) or _HOST.fullmatch(bare):
            return bare
    raise ValueError("an IP address or a host name, without a port")


def is_loopback(address: str) -> bool:
    """Return whether only this machine can reach a listener on the address."""
    if _is_ip(address):
        return ip_address(address).is_loopback
    return address.lower() == "localhost"


def web_url(example: str) -> Callable[[object], str]:
    """Return a reader of an HTTP address, which it gives back without a trailing slash."""

    def read(value: object) -> str:
        url = value.strip() if isinstance(value, str) else ""
        parts = _split(url)
        if parts is None or parts.query or parts.fragment or url.endswith(("?", "#")):
            raise ValueError(f"an address such as {example}")
        if "@" in parts.netloc:
            raise ValueError("an address without a user name or a password")
        return url.rstrip("/")

    return read


def api_base(vendor: Vendor) -> Callable[[object], str]:
    """Return a reader of a vendor's address, without what the adapter's own paths begin with."""
    read_url = web_url(vendor.api_base_example)

    def read(value: object) -> str:
        return read_url(value).removesuffix(vendor.drops).rstrip("/")

    return read


def database_url(value: object) -> str:
    """Return the address of a database as it is; the store says which it can use."""
    if isinstance(value, str) and _DATABASE.fullmatch(value.strip()):
        return value.strip()
    raise ValueError("a database address such as sqlite:///taxiway.db or postgresql://host/name")


def artifacts_url(value: object) -> str:
    """Return the address of an archive, or `none`."""
    url = value.strip() if isinstance(value, str) else ""
    if url.lower() == "none":
        return "none"
    if _ARCHIVE.fullmatch(url):
        return url
    raise ValueError(
        "file:///path, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or none"
    )


def origins(value: object) -> tuple[str, ...]:
    """Return the origins whose pages may call, from a list or from text with commas between them."""
    listed = value.split(",") if isinstance(value, str) else value
    if isinstance(listed, (list, tuple)):
        return tuple(dict.fromkeys(_origin(each) for each in listed if each != ""))
    raise ValueError("a list of origins such as https://app.example.com")


def webhook_url(value: object) -> str:
    """Return the address of a program that is told of jobs, as it is: a query may be its key."""
    url = value.strip() if isinstance(value, str) else ""
    parts = _split(url)
    if parts is None or "#" in url or "@" in parts.netloc:
        raise ValueError("an address such as https://app.example.com/hooks, without a password")
    return url


def networks(value: object) -> tuple[str, ...]:
    """Return networks by their prefixes, from a list or from text with commas between them."""
    listed = value.split(",") if isinstance(value, str) else value
    if isinstance(listed, (list, tuple)):
        return tuple(dict.fromkeys(_network(each) for each in listed if each != ""))
    raise ValueError(_NETWORKS)


def _network(value: object) -> str:
    try:
        return str(ip_network(value.strip() if isinstance(value, str) else ""))
    except ValueError:
        raise ValueError(_NETWORKS) from None


def _origin(value: object) -> str:
    origin = value.strip().rstrip("/") if isinstance(value, str) else ""
    if origin == "*":
        return origin
    parts = _split(origin)
    if parts is None or f"{parts.scheme}://{parts.netloc}" != origin or "@" in origin:
        raise ValueError("a list of origins such as https://app.example.com, without a path, or *")
    return origin.lower()


def _split(url: str) -> SplitResult | None:
    if _BLANK.search(url):
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port out of range, or brackets around no IPv6 address
        return None
    return parts if usable else None


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
