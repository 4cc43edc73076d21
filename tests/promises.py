"""What is promised in seconds, held to on any machine: where the clock says no, its pace is asked."""

import subprocess
import sys
import time

#: How long the piece of work below takes on a machine that the promises are made for.
AT_LEISURE_S = 1.0

#: Where a machine is this much too slow, nothing is told by how long anything takes.
SLOWEST = 8.0


def kept(took_s: float, promised_s: float) -> bool:
    """Return whether something took less than promised, in seconds or else in seconds of this machine."""
    return took_s < promised_s or took_s < promised_s * slowness()


def slowness() -> float:
    """Return how many times longer a piece of work takes here and now than on a machine at leisure; 1 at least."""
    began_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import taxiway.server"], check=True)
    return min(max(1.0, (time.perf_counter() - began_s) / AT_LEISURE_S), SLOWEST)
