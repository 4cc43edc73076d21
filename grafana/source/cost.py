"""Cost: where the money goes."""

from source.dashboards import Page, Section
from source.panels import BAD, CALM, GOOD, WARN, Panel, Query

_COST = "taxiway_cost_usd_total{@M}"
_WASTE = "taxiway_cost_wasted_usd_total{@M}"
_IMAGES = 'taxiway_jobs_finished_total{@M,outcome="completed"}'
_BALANCE = "max by (account) (taxiway_upstream_credits_balance{@})"

_EXACT = " An estimate from counters; GET /v1/usage tells the exact sum."

_TOP = (
    Panel(
        kind="stat",
        title="Spent in this time",
        says=f"US dollars for jobs that ended.{_EXACT}",
        unit="currencyUSD",
        width=4,
        height=4,
        queries=(Query(expr=f"sum(increase({_COST}[$__range]))", instant=True),),
        steps=((None, CALM),),
        decimals=2,
    ),
    Panel(
        kind="stat",
        title="Spent in the last hour",
        says=f"The alert's limit is 100 USD; set your own in the rules.{_EXACT}",
        unit="currencyUSD",
        width=4,
        height=4,
        queries=(Query(expr=f"sum(increase({_COST}[1h]))", instant=True),),
        steps=((None, GOOD), (50, WARN), (100, BAD)),
        decimals=2,
        alerts=("TaxiwaySpendHigh",),
    ),
    Panel(
        kind="stat",
        title="Cost of a completed job",
        says="What was spent in this time, failures included, by the jobs that brought images.",
        unit="currencyUSD",
        width=4,
        height=4,
        queries=(
            Query(
                expr=f"sum(increase({_COST}[$__range])) / (sum(increase({_IMAGES}[$__range])) > 0)",
                instant=True,
            ),
        ),
        steps=((None, CALM),),
        decimals=3,
        nothing="no images",
    ),
    Panel(
        kind="stat",
        title="Share that brought no image",
        says="Of the money. Runway charges for what its moderation refuses: a few percent are "
        "normal.",
        unit="percentunit",
        width=4,
        height=4,
        queries=(
            Query(
                expr=f"sum(increase({_WASTE}[$__range])) / (sum(increase({_COST}[$__range])) > 0)",
                instant=True,
            ),
        ),
        steps=((None, GOOD), (0.05, WARN), (0.2, BAD)),
        decimals=1,
        nothing="nothing spent",
    ),
    Panel(
        kind="stat",
        title="Promised",
        says="What the unfinished jobs may still cost.",
        unit="currencyUSD",
        width=4,
        height=4,
        queries=(Query(expr="sum(taxiway_cost_reserved_usd{@})"),),
        steps=((None, CALM),),
        decimals=2,
    ),
    Panel(
        kind="stat",
        title="Credits left",
        says="On all accounts together; a credit is a US cent. Jobs fail at 0.",
        unit="short",
        width=4,
        height=4,
        queries=(Query(expr=f"sum({_BALANCE})"),),
        steps=((None, BAD), (1, GOOD)),
        nothing="unknown",
        alerts=("TaxiwayCreditsExhausted",),
    ),
)

_SPEND = (
    Panel(
        kind="timeseries",
        title="Spend by model, per hour",
        says=f"US dollars at the pace of each moment.{_EXACT}",
        unit="currencyUSD",
        width=12,
        queries=(
            Query(
                expr=f"sum by (model) (rate({_COST}[$__rate_interval])) * 3600",
                legend="{{model}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        kind="timeseries",
        title="This week and the last",
        says="US dollars of the last hour, at each moment, and of the same hour a week earlier. "
        "Three times as much is worth a look: a new customer, or a loop.",
        unit="currencyUSD",
        width=12,
        queries=(
            Query(expr=f"sum(increase({_COST}[1h]))", legend="now"),
            Query(expr=f"sum(increase({_COST}[1h] offset 1w))", legend="a week ago"),
        ),
        alerts=("TaxiwaySpendHigh", "TaxiwaySpendUnusual"),
    ),
    Panel(
        kind="timeseries",
        title="Money without an image, per hour",
        says="By what went wrong. `moderation_*` is charged by Runway; `cancelled` and `deadline` "
        "are estimates, since a stopped task has no readable cost.",
        unit="currencyUSD",
        width=12,
        queries=(
            Query(
                expr=f"sum by (reason) (rate({_WASTE}[$__rate_interval])) * 3600",
                legend="{{reason}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        kind="timeseries",
        title="Charged and estimated, per hour",
        says="What Runway reported, and what is only thought to have been charged. The second should "
        "be small.",
        unit="currencyUSD",
        width=12,
        queries=(
            Query(
                expr=f"sum by (basis) (rate({_COST}[$__rate_interval])) * 3600",
                legend="{{basis}}",
            ),
        ),
        stacked=True,
        colours={"charged": GOOD, "estimated": WARN},
    ),
)

_CREDITS = (
    Panel(
        kind="timeseries",
        title="Credits left",
        says="By account, and where the trend of the last six hours leads within a day. Below 0 it "
        "is time to buy.",
        unit="short",
        width=8,
        queries=(
            Query(expr=_BALANCE, legend="{{account}}"),
            Query(
                expr="min by (account) (predict_linear(taxiway_upstream_credits_balance{@}[6h], 86400))",
                legend="{{account}} in a day",
            ),
        ),
        least=None,
        steps=((None, BAD), (0, GOOD)),
        line=True,
        nothing="unknown",
        alerts=("TaxiwayCreditsLow", "TaxiwayCreditsExhausted"),
    ),
    Panel(
        kind="timeseries",
        title="Left in the budgets",
        says="US dollars, by budget and window, of those in the configuration. At 0 nothing more is bought "
        "from it.",
        unit="currencyUSD",
        width=8,
        queries=(
            Query(
                expr="min by (budget, window) (taxiway_budget_remaining_usd{@})",
                legend="{{budget}}, {{window}}",
            ),
        ),
        least=None,
        nothing="no budget",
    ),
    Panel(
        kind="table",
        title="Models in this time",
        says="Jobs that brought images, what was spent on the model, and what one such job cost.",
        unit="short",
        width=8,
        queries=(
            Query(expr=f"sum by (model) (increase({_IMAGES}[$__range]))", instant=True),
            Query(expr=f"sum by (model) (increase({_COST}[$__range]))", instant=True),
            Query(
                expr="sum by (model) (increase(taxiway_upstream_credits_spent_total{@M}[$__range]))",
                instant=True,
            ),
            Query(
                expr=f"sum by (model) (increase({_COST}[$__range])) / "
                f"(sum by (model) (increase({_IMAGES}[$__range])) > 0)",
                instant=True,
            ),
        ),
        nothing="nothing spent",
        decimals=2,
        columns={
            "model": "model",
            "Value #A": "completed jobs",
            "Value #B": "US dollars",
            "Value #C": "credits",
            "Value #D": "US dollars a job",
        },
    ),
)

COST = Page(
    uid="taxiway-cost",
    title="Taxiway / Cost",
    asks="Where does the money go?",
    sections=(
        Section(panels=_TOP),
        Section(title="Spend", panels=_SPEND),
        Section(title="Credits, budgets and models", panels=_CREDITS),
    ),
)
