"""A true rate: so many a minute, evenly spaced, after a small burst."""

#: What a bucket holds beyond one, as a share of a minute's worth: callers come in small groups.
BURST_SHARE = 0.1

#: Sums of floats fall short of a whole by less than this.
_CRUMB = 1e-9


class Rate:
    """A bucket of tokens that fills by `per_minute`. Times are the loop's, and never run backwards."""

    __slots__ = ("_at_s", "_most", "_per_s", "_tokens", "per_minute")

    def __init__(self, per_minute: float, *, now_s: float) -> None:
        self.per_minute = per_minute
        self._per_s = per_minute / 60
        self._most = 1 + per_minute * BURST_SHARE
        self._tokens = self._most
        self._at_s = now_s

    def ready_at(self, now_s: float) -> float:
        """Return when the next one may go: now, or a later time."""
        self._fill(now_s)
        missing = 1 - _CRUMB - self._tokens
        return now_s if missing <= 0 else now_s + missing / self._per_s

    def take(self, now_s: float) -> None:
        """Let one go."""
        self._fill(now_s)
        self._tokens -= 1

    def _fill(self, now_s: float) -> None:
        self._tokens = min(self._most, self._tokens + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
