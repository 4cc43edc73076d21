"""What all pages say in the same way: what counts as a failure, how a quantile and a share are asked for."""

from source.panels import BAD, GOOD, WARN

from taxiway.outcomes import USERS_DOING

#: What callers bring about themselves, from the one place that decides it.
_USERS = "|".join(sorted(USERS_DOING - {"cancelled"}))

FAILED = f'taxiway_jobs_finished_total{{@M,outcome="failed",reason!~"{_USERS}"}}'
COUNTED = f'taxiway_jobs_finished_total{{@M,reason!~"{_USERS}|cancelled"}}'
USERS_FAILED = f'taxiway_jobs_finished_total{{@M,outcome="failed",reason=~"{_USERS}"}}'

PROBES = 'route!~"/metrics|/healthz|/readyz|/health/.*"'
OWN_ERRORS = f'taxiway_http_requests_total{{@,code=~"5..",code!~"502|504",{PROBES}}}'

BUDGET_ALERTS = (
    "TaxiwayJobErrorBudgetBurnFast",
    "TaxiwayJobErrorBudgetBurn",
    "TaxiwayJobErrorBudgetBurnSlow",
)

OUTCOMES = {"completed": GOOD, "failed": BAD, "cancelled": WARN}


def quantile(
    q: float, buckets: str, *, by: tuple[str, ...] = (), over: str = "$__rate_interval"
) -> str:
    """Return the quantile of a histogram's buckets, apart for each value of the labels `by`."""
    labels = ", ".join((*by, "le"))
    return f"histogram_quantile({q}, sum by ({labels}) (rate({buckets}[{over}])))"


def ratio(part: str, whole: str, over: str) -> str:
    """Return which share of one counter's increase is another's; nothing where nothing has happened."""
    return f"sum(increase({part}[{over}])) / (sum(increase({whole}[{over}])) > 0)"
