"""What is left of the budgets of the configuration, as it was last looked at: told at every scrape."""

from collections.abc import Mapping

from taxiway.metrics import Metrics
from taxiway.purses import Show


def show_budgets(metrics: Metrics) -> Show:
    """Return what puts a look at the budgets into the numbers. A budget that is gone leaves the page."""
    known: set[tuple[str, str]] = set()

    def show(left: Mapping[tuple[str, str], int]) -> None:
        if left.keys() != known:
            known.clear()
            known.update(left)
            metrics.know_budgets(known)
        for (budget, window), microusd in left.items():
            metrics.budget_remaining(budget, window, microusd=microusd)

    return show
