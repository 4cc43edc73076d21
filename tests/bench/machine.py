"""The machine, as /proc shows it: who used how much of which core, and how much memory a process holds."""

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

#: Twice eight thousand connections, and the files of a database.
_FILES = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """Where things run: the program under test has a core to itself."""

    tested: int
    others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a process has used up to now, and what its core has done altogether."""

    cpu_s: float
    core_busy_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a process holds now."""

    rss_bytes: int
    files: int


def cores() -> Cores:
    """Return the two cores of the measurement. Raises `SystemExit` where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise SystemExit("The bench needs two cores: one for the program, one for everything else.")
    return Cores(tested=usable[0], others=usable[1])


def allow_files() -> None:
    """Raise this process's limit of open files, which its children inherit, to what the bench needs."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if most == resource.RLIM_INFINITY else min(_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def read(pid: int, *, core: int) -> Reading:
    """Read a process's clock of CPU time, all its threads included, and its core's."""
    return Reading(cpu_s=cpu_s(pid), core_busy_s=_busy_s(core))


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process since its start, exactly.

    It is the clock that `clock_getcpuclockid` names; /proc/<pid>/stat counts in hundredths of a second.
    """
    return time.clock_gettime((~pid << 3) | 2)


def memory(pid: int) -> Memory:
    """Return the resident memory and the open files of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return Memory(
        rss_bytes=pages * resource.getpagesize(), files=len(os.listdir(f"/proc/{pid}/fd"))
    )


def family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found, children = [pid], Path(f"/proc/{pid}/task/{pid}/children")
    for child in children.read_text().split() if children.exists() else ():
        found += family(int(child))
    return found


def _busy_s(core: int) -> float:
    """Return how long a core has been at work since boot, for whomever."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *numbers = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, numbers[:8])
            busy = user + nice + system + irq + softirq + steal
            return busy / os.sysconf("SC_CLK_TCK")
    raise SystemExit(f"This system does not tell what core {core} does.")
