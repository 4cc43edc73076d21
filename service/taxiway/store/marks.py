"""The remarks on a job that need no ownership."""

from sqlalchemy import ColumnElement, Text, Update, literal_column, true, update

from taxiway.origins import Caller
from taxiway.store.tables import jobs
from taxiway.store.writes import Sign

_WAITING = literal_column(f"'{Caller.WAITING}'", Text)
_LEFT = literal_column(f"'{Caller.LEFT}'", Text)
_ANSWERED = literal_column(f"'{Caller.ANSWERED}'", Text)
_PROMISED = literal_column(f"'{Caller.PROMISED}'", Text)


def marking(sign: Sign, chosen: ColumnElement[bool]) -> Update:
    """Return the statement that marks the chosen jobs, as far as the sign has a meaning for them."""
    match sign:
        case Sign.DEPARTED:
            return update(jobs).where(chosen, jobs.c.caller == _WAITING).values(caller=_LEFT)
        case Sign.PROMISED:
            return update(jobs).where(chosen, jobs.c.caller != _ANSWERED).values(caller=_PROMISED)
        case Sign.CANCEL:
            unfinished = jobs.c.finished_at.is_(None)
            return update(jobs).where(chosen, unfinished).values(cancel_requested=true())
