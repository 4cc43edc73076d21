"""Jobs and provider: why it is slow, and why it fails."""

from source.dashboards import Page, Section
from source.objectives import BUDGET_ALERTS, COUNTED, FAILED, USERS_FAILED, quantile
from source.panels import BAD, CALM, GOOD, WARN, Panel, Query
from source.provider import POLLING, PROVIDER

_CALLS = "taxiway_upstream_request_duration_seconds"

_TOP = (
    Panel(
        kind="stat",
        title="Unfinished jobs in the store",
        says="Of all replicas together. With jobs here, some must end: if none does for a quarter of "
        "an hour, somebody is called.",
        unit="short",
        width=4,
        height=4,
        queries=(Query(expr="sum(max by (phase) (taxiway_store_jobs{@}))"),),
        steps=((None, CALM),),
        alerts=("TaxiwayNoProgress",),
    ),
    Panel(
        kind="stat",
        title="Oldest of them",
        says="Since its acceptance. A job ends at its deadline, after ten minutes unless set "
        "otherwise.",
        unit="s",
        width=4,
        height=4,
        queries=(Query(expr="max(taxiway_store_oldest_job_age_seconds{@})"),),
        steps=((None, GOOD), (300, WARN), (600, BAD)),
    ),
    Panel(
        kind="stat",
        title="Submissions of unknown outcome",
        says="Purchases whose answer was lost, in this time. Each may have cost money and is not "
        "repeated: look it up at Runway. 0 is good.",
        unit="short",
        width=4,
        height=4,
        queries=(
            Query(
                expr="sum(increase(taxiway_job_submissions_unknown_total{@}[$__range]))",
                instant=True,
            ),
        ),
        steps=((None, GOOD), (0.5, BAD)),
        decimals=0,
        alerts=("TaxiwaySubmissionUnknown",),
    ),
    Panel(
        kind="stat",
        title="Slots in use",
        says="Of the tasks that an account may run at once, for the fullest model. At 100 % further "
        "tasks wait at Runway; more slots come with a higher tier.",
        unit="percentunit",
        width=4,
        height=4,
        queries=(
            Query(
                expr="max(sum by (model) (taxiway_upstream_slots_in_use{@M}) / "
                "sum by (model) (max by (model, account) (taxiway_upstream_slots{@M})))"
            ),
        ),
        steps=((None, GOOD), (0.8, WARN), (1, BAD)),
        decimals=0,
        nothing="no limit",
    ),
    Panel(
        kind="stat",
        title="Refused keys",
        says="Calls that Runway answered with 401 or 403 in this time. 0 is good; anything else "
        "wants a new key.",
        unit="short",
        width=4,
        height=4,
        queries=(
            Query(
                expr=f'sum(increase({_CALLS}_count{{@,operation!="download",code=~"401|403"}}[$__range]))',
                instant=True,
            ),
        ),
        steps=((None, GOOD), (0.5, BAD)),
        decimals=0,
        alerts=("TaxiwayProviderKeyRefused",),
    ),
    Panel(
        kind="stat",
        title="Lost leases",
        says="Jobs that another replica took while this one worked on them, in this time. 0 is good; "
        "else a replica was too slow to renew, or cut off from the database.",
        unit="short",
        width=4,
        height=4,
        queries=(
            Query(expr="sum(increase(taxiway_job_lease_losses_total{@}[$__range]))", instant=True),
        ),
        steps=((None, GOOD), (0.5, BAD)),
        decimals=0,
        alerts=("TaxiwayLeaseLosses",),
    ),
)

_TIME = (
    Panel(
        kind="timeseries",
        title="Unfinished jobs by phase",
        says="What they wait for. `queued` is us, `provider_queue` and `throttled` are Runway's "
        "queue, `running` is the picture being made.",
        unit="short",
        width=12,
        queries=(Query(expr="max by (phase) (taxiway_store_jobs{@})", legend="{{phase}}"),),
        stacked=True,
    ),
    Panel(
        kind="timeseries",
        title="Oldest job of each phase",
        says="A line that climbs at 45 degrees is a job that does not move.",
        unit="s",
        width=12,
        queries=(
            Query(
                expr="max by (phase) (taxiway_store_oldest_job_age_seconds{@})",
                legend="{{phase}}",
            ),
        ),
        steps=((None, GOOD), (300, BAD)),
        line=True,
        alerts=("TaxiwayQueueStuck",),
    ),
    Panel(
        kind="timeseries",
        title="Where the time of a job goes",
        says="Seconds of the average job in each phase. `running` should be nearly all of it.",
        unit="s",
        width=12,
        queries=(
            Query(
                expr="""sum by (phase) (rate(taxiway_job_phase_duration_seconds_sum{@}[$__rate_interval]))
                / ignoring(phase) group_left ()
                (sum(rate(taxiway_jobs_finished_total{@}[$__rate_interval])) > 0)""",
                legend="{{phase}}",
            ),
        ),
        stacked=True,
        nothing="no jobs",
    ),
    Panel(
        kind="timeseries",
        title="Time in a phase, p95",
        says="19 of 20 jobs left the phase within this.",
        unit="s",
        width=12,
        queries=(
            Query(
                expr=quantile(0.95, "taxiway_job_phase_duration_seconds_bucket{@}", by=("phase",)),
                legend="{{phase}}",
            ),
        ),
        nothing="no jobs",
    ),
)

_FAILURES = (
    Panel(
        kind="timeseries",
        title="Failures by reason, per minute",
        says="Ours and Runway's. `upstream_error` is Runway's fault, `deadline` mostly too; `auth`, "
        "`quota` and `insufficient_credits` are for the operator; `internal` is a bug.",
        unit="short",
        width=8,
        queries=(
            Query(
                expr=f"sum by (reason) (rate({FAILED}[$__rate_interval])) * 60", legend="{{reason}}"
            ),
        ),
        stacked=True,
        alerts=BUDGET_ALERTS,
    ),
    Panel(
        kind="timeseries",
        title="Callers' own failures, per minute",
        says="Refused by moderation, with an input that Runway cannot use, or by a `budget` of yours that is "
        "spent. They count in no objective.",
        unit="short",
        width=8,
        queries=(
            Query(
                expr=f"sum by (reason) (rate({USERS_FAILED}[$__rate_interval])) * 60",
                legend="{{reason}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        kind="timeseries",
        title="Share of failures by model",
        says="One line above the others is that model's trouble, and no other's.",
        unit="percentunit",
        width=8,
        queries=(
            Query(
                expr=f"sum by (model) (rate({FAILED}[$__rate_interval])) / "
                f"(sum by (model) (rate({COUNTED}[$__rate_interval])) > 0)",
                legend="{{model}}",
            ),
        ),
        most=1,
        steps=((None, GOOD), (0.01, BAD)),
        line=True,
    ),
)

_OWNERS = (
    Panel(
        kind="timeseries",
        title="Jobs taken over, per minute",
        says="`handover` is a rollout, `restart` a process that came back, `lease_expired` one that "
        "died.",
        unit="short",
        width=8,
        queries=(
            Query(
                expr="sum by (cause) (rate(taxiway_job_recoveries_total{@}[$__rate_interval])) * 60",
                legend="{{cause}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        kind="timeseries",
        title="Leases lost, per minute",
        says="By the replica that lost them. 0 is good.",
        unit="short",
        width=8,
        queries=(
            Query(
                expr="sum by (instance) (rate(taxiway_job_lease_losses_total{@}[$__rate_interval])) * 60",
                legend="{{instance}}",
            ),
        ),
        alerts=("TaxiwayLeaseLosses",),
    ),
    Panel(
        kind="timeseries",
        title="Jobs asked for, and asked for again, per minute",
        says="Repeats are recognised by their idempotency key or as an SDK's retry, and cost "
        "nothing.",
        unit="short",
        width=8,
        queries=(
            Query(
                expr="sum(rate(taxiway_jobs_submitted_total{@M}[$__rate_interval])) * 60",
                legend="new",
            ),
            Query(
                expr="sum(rate(taxiway_jobs_deduplicated_total{@}[$__rate_interval])) * 60",
                legend="again",
            ),
        ),
    ),
)

JOBS = Page(
    uid="taxiway-jobs",
    title="Taxiway / Jobs and provider",
    asks="Why is it slow, why does it fail?",
    sections=(
        Section(panels=_TOP),
        Section(title="Where the time goes", panels=_TIME),
        Section(title="Why jobs fail", panels=_FAILURES),
        Section(title="Runway", panels=PROVIDER),
        Section(title="Polling", panels=POLLING, collapsed=True),
        Section(title="Who works on what", panels=_OWNERS, collapsed=True),
    ),
)
