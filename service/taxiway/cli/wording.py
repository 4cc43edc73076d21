"""How the commands say things: money, sizes, durations, ages, phases. Numbers in, short texts out."""

from taxiway.cli.documents import Cost, JobDocument

#: What each phase means to somebody who waits.
PHASES = {
    "queued": "waits for a slot",
    "submitting": "on its way to the provider",
    "provider_queue": "waits at the provider",
    "throttled": "held back by the provider",
    "running": "the provider is at work",
    "storing": "keeping the image",
}

#: One colour per status, the same in every table and line.
COLOURS = {
    "queued": "cyan",
    "in_progress": "yellow",
    "completed": "green",
    "failed": "red",
    "cancelled": "magenta",
}

_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 86_400


def money(cost: Cost) -> str:
    """Return a cost, with a word where it is not what was charged."""
    if cost["usd"] is None:
        return "unknown"
    text = dollars(cost["usd"])
    if cost["credits"] is not None:
        text += f" ({plural(cost['credits'], 'credit')})"
    return text if cost["final"] else f"{text}, estimated"


def short_money(cost: Cost) -> str:
    """Return a cost for a narrow column; `~` marks an estimate."""
    if cost["usd"] is None:
        return "?"
    return f"{'' if cost['final'] else '~'}{dollars(cost['usd'])}"


def dollars(amount: float) -> str:
    """Return an amount as people write it: two digits after the point, or as many as it has, at most six."""
    whole, _, rest = f"{amount:,.6f}".partition(".")
    return f"${whole}.{rest.rstrip('0'):0<2}"


def stage(job: JobDocument) -> str:
    """Return where a job stands in its own words: the phase while it runs, then the status."""
    if job["phase"] == "running" and job["status"] == "in_progress":
        return f"running {job['progress']} %"
    return job["phase"] or job["status"]


def weight(size_bytes: int) -> str:
    """Return a number of bytes as people say it."""
    if size_bytes < 1_000_000:
        return f"{size_bytes / 1000:.0f} KB"
    return f"{size_bytes / 1_000_000:.1f} MB"


def pixels(size: str | None) -> str:
    """Return an image's size in pixels."""
    return "size unknown" if size is None else f"{size} px"


def spell(seconds: float) -> str:
    """Return a duration: `4.2 s`, then `1:05 min`."""
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02} min"


def age(seconds: float) -> str:
    """Return an age in its largest unit: `12s`, `5m`, `3h`, `2d`."""
    for unit_s, letter in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "m")):
        if seconds >= unit_s:
            return f"{seconds // unit_s:.0f}{letter}"
    return f"{max(0.0, seconds):.0f}s"


def plural(number: int, noun: str) -> str:
    """Return `1 image`, `2 images`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
