"""Signals as PostgreSQL's NOTIFY carries them: text, many in one, shorter than 8,000 bytes.

The first line says what kind they are and who sends them, and each of the others is one signal.
"""

from collections.abc import Callable, Iterable, Iterator

from taxiway.signals import CancelWanted, Changed, KeyChanged, Placed, Released, Signal, Ticked

#: The channel; it belongs to one database.
CHANNEL = "taxiway"

#: PostgreSQL takes 7,999 bytes.
_PAYLOAD_MAX_BYTES = 7900


def packed(signals: Iterable[Signal], *, sender: str) -> list[str]:
    """Return payloads that say all of it, grouped by kind, each in the order given."""
    kinds: dict[str, list[str]] = {}
    for signal in signals:
        kind, line = _line_of(signal)
        kinds.setdefault(kind, []).append(line)
    return [
        payload for kind, lines in kinds.items() for payload in _payloads(f"{kind} {sender}", lines)
    ]


def unpacked(payload: str, *, listener: str) -> list[Signal]:
    """Return the signals of a payload: none where the listener itself sent it, or where it cannot be read."""
    head, *lines = payload.split("\n")
    kind, _, sender = head.partition(" ")
    read = _READERS.get(kind)
    if read is None or sender == listener:
        return []
    try:
        return [read(*line.split(" ")) for line in lines]
    except (TypeError, ValueError):  # somebody's own NOTIFY, or a later release's
        return []


def _line_of(signal: Signal) -> tuple[str, str]:
    match signal:
        case Changed():
            return "changed", f"{signal.job_id} {signal.revision}"
        case Ticked():
            where = f"{signal.job_id} {signal.revision} {signal.attempt}"
            return "ticked", f"{where} {signal.progress!r} {signal.at!r}"
        case Placed():
            where = f"{signal.job_id} {signal.revision}"
            return "placed", f"{where} {signal.position} {signal.at!r}"
        case CancelWanted():
            return "cancel", signal.job_id
        case KeyChanged():
            return "key", signal.key_id
        case Released():
            return "released", "-"
        case _:
            raise TypeError(f"{signal} is said by the listener itself")


def _payloads(head: str, lines: list[str]) -> Iterator[str]:
    room = _PAYLOAD_MAX_BYTES - len(head)
    page: list[str] = []
    for line in lines:
        # Ids and numbers are ASCII: a character is a byte.
        if page and room < len(line) + 1:
            yield "\n".join((head, *page))
            page, room = [], _PAYLOAD_MAX_BYTES - len(head)
        page.append(line)
        room -= len(line) + 1
    yield "\n".join((head, *page))


def _changed(job_id: str, revision: str) -> Signal:
    return Changed(job_id=job_id, revision=int(revision))


def _ticked(job_id: str, revision: str, attempt: str, progress: str, at: str) -> Signal:
    return Ticked(
        job_id=job_id,
        revision=int(revision),
        attempt=int(attempt),
        progress=float(progress),
        at=float(at),
    )


def _placed(job_id: str, revision: str, position: str, at: str) -> Signal:
    return Placed(job_id=job_id, revision=int(revision), position=int(position), at=float(at))


def _cancel(job_id: str) -> Signal:
    return CancelWanted(job_id=job_id)


def _key(key_id: str) -> Signal:
    return KeyChanged(key_id=key_id)


def _released(_: str) -> Signal:
    return Released()


_READERS: dict[str, Callable[..., Signal]] = {
    "changed": _changed,
    "ticked": _ticked,
    "placed": _placed,
    "cancel": _cancel,
    "key": _key,
    "released": _released,
}
