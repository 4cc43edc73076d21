"""Who asks: the owner of the master key, who may do everything, or the holder of a virtual key, who has limits."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from taxiway.errors import NotFoundError, PermissionDeniedError
from taxiway.jobs import Job
from taxiway.keys import Key

#: In a key's `models`: every model, and none.
ALL_MODELS = "all-proxy-models"
NO_MODELS = "no-default-models"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whoever a request comes from. `key` is None for the master key, and where nobody has to show one."""

    key: Key | None = None

    @property
    def scope(self) -> str:
        """Whose its jobs are."""
        return "" if self.key is None else self.key.id

    @property
    def sight(self) -> str | None:
        """Whose jobs it sees; None: everybody's."""
        return None if self.key is None else self.key.id

    def sees(self, job: Job) -> bool:
        """Return whether a job exists for it."""
        return self.key is None or job.scope == self.key.id

    def check_job(self, job: Job) -> Job:
        """Return a job that exists for it. Raises `NotFoundError`: another key's job does not exist."""
        if not self.sees(job):
            raise NotFoundError(f"There is no job {job.id!r}.", code="job_not_found")
        return job

    def may_use(self, *names: str) -> bool:
        """Return whether it may ask for a model that has all these names."""
        allowed = () if self.key is None else self.key.models
        if not allowed or ALL_MODELS in allowed:
            return True
        return any(fnmatchcase(name, pattern) for name in names for pattern in allowed)

    def check_models(self, names: Iterable[tuple[str, ...]], *, param: str) -> None:
        """Raise `PermissionDeniedError` (`key_model_access_denied`) for a model that it may not ask for."""
        for each in names:
            if not self.may_use(*each):
                raise PermissionDeniedError(
                    f"The API key may not use the model {each[0][:80]!r}; GET /v1/models lists what it may.",
                    code="key_model_access_denied",
                    param=param,
                )


#: Whoever may do everything.
MASTER = Identity()
