"""The names of processes."""

import secrets


def new_owner() -> str:
    """Return a name for this process that no other has or had."""
    return f"r_{secrets.token_hex(8)}"
