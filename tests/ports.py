"""Ports that stay free until whoever was given one listens there."""

import random
import socket

#: Below those that the kernel gives to whoever does not mind which (32768 and up on Linux): until a process has
#: started and listens, nobody is given its port by chance.
_ports = iter(random.sample(range(20_000, 32_000), k=12_000))


def free_port() -> int:
    """Return a port that nobody uses at the moment, and nobody was given before."""
    for port in _ports:
        with socket.socket() as free:
            try:
                free.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError("twelve thousand ports were given")
