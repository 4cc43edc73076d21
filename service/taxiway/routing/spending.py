"""What deployments may spend, as far as the choice between them goes."""

from typing import Protocol


class Spending(Protocol):
    """Who knows the budgets of deployments.

    A task is booked when its submission is written down, a moment after it was let go: a crowd that is let go at
    once would find the budget untouched. So what each may cost is set aside in between.
    """

    def exhausted(self, deployment: str) -> bool:
        """Return whether nothing is left for a deployment."""
        ...

    def watches(self, deployment: str) -> bool:
        """Return whether a deployment has a budget at all."""
        ...

    def set_aside(self, job_id: str, part: int, *, deployment: str, microusd: int | None) -> None:
        """Set aside what a task may cost, until it is booked; None: nobody knows how much."""
        ...

    def let_go(self, job_id: str) -> None:
        """Set nothing aside any more for the tasks of a job."""
        ...


class Unbounded:
    """Any amount."""

    def exhausted(self, deployment: str) -> bool:
        """Return False."""
        return False

    def watches(self, deployment: str) -> bool:
        """Return False."""
        return False

    def set_aside(self, job_id: str, part: int, *, deployment: str, microusd: int | None) -> None:
        """Do nothing."""

    def let_go(self, job_id: str) -> None:
        """Do nothing."""


UNBOUNDED = Unbounded()
