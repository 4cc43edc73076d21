"""An address that cannot be listened on, in one sentence."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from taxiway.errors import ConfigError

_WHY = {
    errno.EADDRINUSE: "is taken: choose another port with {option}",
    errno.EACCES: "is not yours to use: choose a port above 1023 with {option}",
    errno.EADDRNOTAVAIL: "is no address of this machine: choose another with --host",
}


@contextmanager
def listening(host: str, port: int, *, metrics_port: int | None = None) -> Iterator[None]:
    """Turn the refusal of an address, raised inside, into a `ConfigError`."""
    try:
        yield
    except OSError as error:
        why = _WHY.get(error.errno or 0)
        if why is None:
            raise
        # The text is the only place that says which of two ports it is about.
        second = metrics_port is not None and f", {metrics_port})" in str(error)
        place = f"{f'[{host}]' if ':' in host else host}:{metrics_port if second else port}"
        option = "--metrics-port" if second else "--port"
        raise ConfigError(f"{place} {why.format(option=option)}.") from error
