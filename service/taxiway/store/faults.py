"""A database's failures, as the errors that the rest of the service knows."""

from collections.abc import Iterator
from contextlib import contextmanager

from taxiway.errors import StoreError, cut


def words(error: BaseException) -> str:
    """Return what a failure says, without the statement and the parameters that SQLAlchemy puts around it."""
    cause = getattr(error, "orig", None) or error
    # For asyncpg there is one more layer: SQLAlchemy's rendering of the driver's error.
    if cause is not error and cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, TimeoutError) and not str(cause):
        return "no answer in time"
    return cut(str(cause)) or type(cause).__name__


def not_taken(cause: BaseException) -> StoreError:
    """Return what the caller of a write gets that failed with its whole transaction. Each caller needs its own."""
    error = StoreError(f"The store did not take the write: {words(cause).removesuffix('.')}.")
    error.__cause__ = cause
    return error


@contextmanager
def translated(what: str, *faults: type[Exception]) -> Iterator[None]:
    """Raise these faults as a `StoreError` that begins with `what`, a clause that says what could not be done."""
    try:
        yield
    except faults as error:
        raise StoreError(f"{what}: {words(error).removesuffix('.')}.") from error
