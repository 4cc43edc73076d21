"""Addresses taken before anything else is opened, so that a port which is not free costs nobody anything."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager


@asynccontextmanager
async def bound(host: str, port: int) -> AsyncIterator[Sequence[socket.socket]]:
    """Hold a port on every address of a host while the context lasts; 0 is one that is free.

    Nobody can connect before somebody listens. Raises `OSError`, which names the address, where one cannot be had.
    """
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    with ExitStack() as stack:
        sockets = []
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sockets.append(stack.enter_context(socket.socket(family, kind, protocol)))
            _bind(sockets[-1], address)
        yield sockets


def _bind(taken: socket.socket, address: tuple[object, ...]) -> None:
    if os.name == "posix":
        # Connections that the kernel still remembers must not keep a restart waiting.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if taken.family == socket.AF_INET6:
        taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        taken.bind(address)
    except OSError as error:
        sentence = f"cannot listen on {address[:2]}: {os.strerror(error.errno or 0)}"
        raise OSError(error.errno, sentence) from error
