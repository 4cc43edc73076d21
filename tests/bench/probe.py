"""Asks a program whether it lives, fifty times a second, and tells how long each answer took.

A process of its own: inside the load generator it would measure the load generator. It reads nothing but the
time, and writes one JSON list of seconds when its standard input is closed.
"""

import json
import os
import select
import socket
import sys
import time
from contextlib import suppress

_PERIOD_S = 0.02
_TIMEOUT_S = 10.0


def answer_s(connection: socket.socket, request: bytes) -> float:
    """Ask once; return the seconds until the answer's first bytes."""
    began_s = time.perf_counter()
    connection.sendall(request)
    if not connection.recv(65_536):
        raise SystemExit("The probed program has closed the connection.")
    return time.perf_counter() - began_s


def main(port: int, path: str) -> None:
    """Probe until standard input ends."""
    with suppress(PermissionError):
        os.nice(
            -10
        )  # it runs for microseconds; waiting for its neighbours' turn would be all it measures
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    took_s = []
    with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not select.select([sys.stdin], [], [], _PERIOD_S)[0]:
            took_s.append(answer_s(connection, request))
    json.dump(took_s, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
