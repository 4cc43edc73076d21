"""Ids that sort by the time they were made: a prefix that says of what, and a UUIDv7 in hex."""

import secrets


def new_id(prefix: str, now: float) -> str:
    """Return an id of something made now, in Unix seconds. 74 of its bits are drawn."""
    drawn = secrets.randbits(74)
    value = int(now * 1000) << 80 | 0x7 << 76 | 0b10 << 62
    value |= drawn >> 62 << 64 | drawn & ((1 << 62) - 1)
    return f"{prefix}{value:032x}"
