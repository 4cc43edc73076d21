"""Runs nginx, Envoy and Traefik with the files of `deploy/edges`.

    python deploy/tests/proxies.py nginx|envoy|traefik PORT UPSTREAM

runs one of them in front of a service on this machine, to try things by hand; tests/test_proxies.py runs all.
"""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

EDGES = Path(__file__).resolve().parents[1] / "edges"
SCRIPTS = Path(sys.executable).parent


class NotInstalledError(Exception):
    """nginx comes from Debian, and only root can install it."""


def nginx(folder: Path, port: int, upstream: int) -> list[str]:
    """Return the command for nginx with our file inside a bare `http` section."""
    site = (EDGES / "nginx.conf").read_text()
    site = changed(site, "server taxiway:4000", f"server 127.0.0.1:{upstream}")
    (folder / "taxiway.conf").write_text(changed(site, "listen 8080", f"listen 127.0.0.1:{port}"))
    user = "user root;" if os.geteuid() == 0 else ""
    places = " ".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = folder / "nginx.conf"
    main.write_text(
        f"{user} pid {folder}/nginx.pid; error_log stderr; events {{}}"
        f" http {{ access_log off; {places} include {folder}/taxiway.conf; }}"
    )
    return [installed_nginx(), "-e", "stderr", "-c", str(main), "-g", "daemon off;"]


def envoy(folder: Path, port: int, upstream: int) -> list[str]:
    """Return the command for Envoy with our file."""
    text = (EDGES / "envoy.yaml").read_text()
    text = changed(
        text, "address: 0.0.0.0, port_value: 8080", f"address: 127.0.0.1, port_value: {port}"
    )
    text = changed(
        text, "address: taxiway, port_value: 4000", f"address: 127.0.0.1, port_value: {upstream}"
    )
    (folder / "envoy.yaml").write_text(text)
    flags = ("--disable-hot-restart", "--concurrency", "1", "--log-level", "warn")
    return [str(SCRIPTS / "envoy"), "-c", str(folder / "envoy.yaml"), *flags]


def traefik(folder: Path, port: int, upstream: int) -> list[str]:
    """Return the command for Traefik with our two files."""
    static = changed((EDGES / "traefik.yaml").read_text(), ":8080", f"127.0.0.1:{port}")
    routes = (EDGES / "traefik-routes.yaml").read_text()
    (folder / "routes.yaml").write_text(changed(routes, "taxiway:4000", f"127.0.0.1:{upstream}"))
    (folder / "traefik.yaml").write_text(
        changed(static, "/etc/traefik/routes.yaml", f"{folder}/routes.yaml")
    )
    return [str(SCRIPTS / "traefik"), f"--configFile={folder}/traefik.yaml"]


COMMANDS: Mapping[str, Callable[[Path, int, int], list[str]]] = {
    "nginx": nginx,
    "envoy": envoy,
    "traefik": traefik,
}


def changed(text: str, old: str, new: str) -> str:
    """Return the text with an address put in place of another, which has to be there once."""
    if text.count(old) != 1:
        raise ValueError(f"{old} is there {text.count(old)} times")
    return text.replace(old, new)


def installed_nginx() -> str:
    """Return where nginx is, installed if it was not. Raises `NotInstalledError`."""
    places = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
    apt = shutil.which("apt-get")
    if shutil.which("nginx", path=places) is None and os.geteuid() == 0 and apt:
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (
            ("update", "-qq"),
            ("install", "-y", "-qq", "--no-install-recommends", "nginx-light"),
        ):
            subprocess.run(  # noqa: S603 - Debian's own, with arguments of ours
                [apt, *words], env=environ, check=True, timeout=120, stdout=subprocess.DEVNULL
            )
    found = shutil.which("nginx", path=places)
    if found is None:
        raise NotInstalledError(
            "nginx is not installed, and only root can: apt-get install nginx-light"
        )
    return found


@contextmanager
def running(
    command: list[str], log: Path, *, port: int, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program while the context lasts, from the moment it listens."""
    surroundings = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - the callers' own programs
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**surroundings, **(environ or {})},
            cwd=log.parent,
        )
    try:
        until_it_listens(port, process, log)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until_it_listens(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when somebody answers on the port."""
    for _ in range(400):
        if process.poll() is not None:
            raise RuntimeError(log.read_text())
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(log.read_text())


def until_it_routes(port: int) -> None:
    """Return when a proxy looks for the service: it listens before it has read its routes."""
    for _ in range(400):
        with suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            status = connection.getresponse().status
            connection.close()
            if status in (502, 503):
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing is routed on port {port}")


def main() -> None:
    """Run the proxy that the command line names, until it is told to stop."""
    name, port, upstream = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        command = COMMANDS[name](Path(folder), int(port), int(upstream))
        with suppress(KeyboardInterrupt):
            subprocess.run(command, check=False)  # noqa: S603 - a program of ours


if __name__ == "__main__":
    main()
