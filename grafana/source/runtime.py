"""Runtime and store: whether a replica is sick."""

from source.dashboards import Page, Section
from source.objectives import quantile
from source.panels import BAD, GOOD, WARN, Panel, Query

_LAG = "taxiway_event_loop_lag_seconds_bucket{@}"
_STORE = "taxiway_store_operation_duration_seconds"
_CLAIM = 'namespace=~"$namespace",persistentvolumeclaim=~"data-taxiway-.*"'

_TOP = (
    Panel(
        kind="stat",
        title="Replicas up",
        says="That answer Prometheus. Fewer than are wanted: look at the pods.",
        unit="short",
        width=4,
        height=4,
        queries=(Query(expr="sum(up{@})"),),
        steps=((None, BAD), (1, GOOD)),
        alerts=("TaxiwayDown",),
    ),
    Panel(
        kind="stat",
        title="Versions",
        says="Two are a rollout under way. Two for an hour are a rollout that did not finish.",
        unit="short",
        width=4,
        height=4,
        queries=(Query(expr="count(count by (version) (taxiway_build_info{@}))"),),
        steps=((None, GOOD), (2, WARN)),
        alerts=("TaxiwayVersionSkew",),
    ),
    Panel(
        kind="stat",
        title="Leaving",
        says="Replicas that are shutting down. More than a minute is too long.",
        unit="short",
        width=4,
        height=4,
        queries=(Query(expr="sum(taxiway_draining{@})"),),
        steps=((None, GOOD), (1, WARN)),
        alerts=("TaxiwayDrainStuck",),
    ),
    Panel(
        kind="stat",
        title="Lateness of the loop, p99",
        says="Of the worst replica. Everything waits for the event loop: milliseconds are good, a "
        "quarter of a second is felt by everybody.",
        unit="s",
        width=4,
        height=4,
        queries=(Query(expr=f"max({quantile(0.99, _LAG, by=('instance',))})"),),
        steps=((None, GOOD), (0.1, WARN), (0.25, BAD)),
        alerts=("TaxiwayEventLoopLag",),
    ),
    Panel(
        kind="stat",
        title="Errors of the store",
        says="In this time. 0 is good; otherwise nothing new is accepted, and what has happened "
        "waits.",
        unit="short",
        width=4,
        height=4,
        queries=(
            Query(expr="sum(increase(taxiway_store_errors_total{@}[$__range]))", instant=True),
        ),
        steps=((None, GOOD), (0.5, BAD)),
        decimals=0,
        alerts=("TaxiwayStoreErrors",),
    ),
    Panel(
        kind="stat",
        title="Log lines given up",
        says="In this time, since nobody read them fast enough. Warnings and errors are never given "
        "up.",
        unit="short",
        width=4,
        height=4,
        queries=(
            Query(expr="sum(increase(taxiway_logs_dropped_total{@}[$__range]))", instant=True),
        ),
        steps=((None, GOOD), (0.5, WARN)),
        decimals=0,
    ),
)

_PROCESS = (
    Panel(
        kind="timeseries",
        title="Lateness of the loop, p99",
        says="How late timers run, by replica. Above the line, add a replica or find what blocks.",
        unit="s",
        width=12,
        queries=(Query(expr=quantile(0.99, _LAG, by=("instance",)), legend="{{instance}}"),),
        steps=((None, GOOD), (0.25, BAD)),
        line=True,
        alerts=("TaxiwayEventLoopLag",),
    ),
    Panel(
        kind="heatmap",
        title="Lateness of the loop",
        says="Every timer. A band far above the others is something that blocks now and then.",
        unit="s",
        width=12,
        queries=(Query(expr=f"sum by (le) (increase({_LAG}[$__rate_interval]))", legend="{{le}}"),),
    ),
    Panel(
        kind="timeseries",
        title="Processor",
        says="Cores in use. One is all that an event loop can have: near 0.8, add a replica.",
        unit="short",
        width=6,
        queries=(
            Query(
                expr="sum by (instance) (rate(process_cpu_seconds_total{@}[$__rate_interval]))",
                legend="{{instance}}",
            ),
        ),
        steps=((None, GOOD), (0.8, BAD)),
        line=True,
    ),
    Panel(
        kind="timeseries",
        title="Memory",
        says="Resident. About 90 MB idle, and some 32 KiB for each job with a viewer.",
        unit="bytes",
        width=6,
        queries=(
            Query(
                expr="sum by (instance) (process_resident_memory_bytes{@})", legend="{{instance}}"
            ),
        ),
    ),
    Panel(
        kind="timeseries",
        title="Requests being answered",
        says="Those that stream or wait for an image are among them.",
        unit="short",
        width=6,
        queries=(
            Query(
                expr="sum by (instance) (taxiway_http_requests_in_progress{@})",
                legend="{{instance}}",
            ),
        ),
    ),
    Panel(
        kind="timeseries",
        title="Open files and sockets",
        says="A share of what the process may have. At 1 no connection can be accepted.",
        unit="percentunit",
        width=6,
        queries=(
            Query(
                expr="sum by (instance) (process_open_fds{@}) / sum by (instance) (process_max_fds{@})",
                legend="{{instance}}",
            ),
        ),
        steps=((None, GOOD), (0.8, BAD)),
        line=True,
        most=1,
    ),
)

_STORES = (
    Panel(
        kind="timeseries",
        title="Time of the store, p99",
        says="The wait for a connection included. A commit is a write to disk: tens of milliseconds "
        "are normal.",
        unit="s",
        width=8,
        queries=(
            Query(
                expr=quantile(0.99, f"{_STORE}_bucket{{@}}", by=("operation",)),
                legend="{{operation}}",
            ),
        ),
    ),
    Panel(
        kind="timeseries",
        title="Operations of the store, per second",
        says="`record` far above `commit` is good: many changes travel in one transaction.",
        unit="ops",
        width=8,
        queries=(
            Query(
                expr=f"sum by (operation) (rate({_STORE}_count{{@}}[$__rate_interval]))",
                legend="{{operation}}",
            ),
        ),
    ),
    Panel(
        kind="timeseries",
        title="Errors of the store, per minute",
        says="0 is good. What cannot be written is repeated until it can, so nothing is lost, but "
        "nothing new is taken.",
        unit="short",
        width=8,
        queries=(
            Query(
                expr="sum by (operation, reason) (rate(taxiway_store_errors_total{@}[$__rate_interval])) * 60",
                legend="{{operation}}: {{reason}}",
            ),
        ),
        alerts=("TaxiwayStoreErrors",),
    ),
    Panel(
        kind="timeseries",
        title="Files of the embedded store",
        says="SQLite only. The log (`wal`) is emptied into the database as it goes; one that only "
        "grows has a reader that never ends.",
        unit="bytes",
        width=6,
        queries=(
            Query(
                expr="sum by (instance, file) (taxiway_store_size_bytes{@})",
                legend="{{instance}} {{file}}",
            ),
        ),
        nothing="no embedded store",
    ),
    Panel(
        kind="timeseries",
        title="Connections of the store",
        says="Of the pool that reads take from, every 15 s. `waiting` above 0 for long: the database is slow, or "
        "asked too much.",
        unit="short",
        width=6,
        queries=(
            Query(
                expr="sum by (state) (taxiway_store_connections{@})",
                legend="{{state}}",
            ),
        ),
        colours={"used": WARN, "idle": GOOD, "waiting": BAD},
    ),
    Panel(
        kind="timeseries",
        title="Free on the volume",
        says="SQLite on Kubernetes only, from the kubelet. Below the line, make the claim larger.",
        unit="percentunit",
        width=6,
        queries=(
            Query(
                expr="min by (persistentvolumeclaim) ("
                f"kubelet_volume_stats_available_bytes{{{_CLAIM}}} / "
                f"kubelet_volume_stats_capacity_bytes{{{_CLAIM}}})",
                legend="{{persistentvolumeclaim}}",
            ),
        ),
        steps=((None, BAD), (0.15, GOOD)),
        line=True,
        most=1,
        nothing="no volume",
        alerts=("TaxiwayVolumeFilling",),
    ),
    Panel(
        kind="timeseries",
        title="Since a background task last did its round",
        says="Each has its own period, from two seconds to a minute: five minutes are too long. Only "
        "`retention` comes once an hour.",
        unit="s",
        width=6,
        queries=(
            Query(
                expr="time() - min by (task) (taxiway_background_task_last_success_timestamp_seconds{@})",
                legend="{{task}}",
            ),
            Query(
                expr="sum by (task) (increase(taxiway_background_task_failures_total{@}[$__rate_interval]))",
                legend="{{task}}: failures",
                unit="short",
            ),
        ),
        steps=((None, GOOD), (300, BAD)),
        line=True,
        alerts=("TaxiwayBackgroundTaskStale",),
    ),
)

_STREAMS = (
    Panel(
        kind="timeseries",
        title="Events to viewers, per second",
        says="Each is a few hundred bytes, encoded once for all viewers.",
        unit="short",
        width=6,
        queries=(
            Query(
                expr="sum by (event) (rate(taxiway_sse_events_sent_total{@}[$__rate_interval]))",
                legend="{{event}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        kind="timeseries",
        title="Streams that end, per minute",
        says="`slow_consumer` does not read, `error` is ours; the others are the ordinary course.",
        unit="short",
        width=6,
        queries=(
            Query(
                expr="sum by (reason) (rate(taxiway_sse_streams_closed_total{@}[$__rate_interval])) * 60",
                legend="{{reason}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        kind="timeseries",
        title="Viewers who come back, per minute",
        says="`replayed` got what they had missed, `current` had missed nothing, `gap` asked for "
        "what nobody knows.",
        unit="short",
        width=6,
        queries=(
            Query(
                expr="sum by (result) (rate(taxiway_sse_resumes_total{@}[$__rate_interval])) * 60",
                legend="{{result}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        kind="timeseries",
        title="Images kept, per minute",
        says="In the archive. `failed` ones stay with Runway, whose links expire within two days: look at "
        "the archive's disk or bucket.",
        unit="short",
        width=6,
        queries=(
            Query(
                expr="sum by (result) (rate(taxiway_images_stored_total{@}[$__rate_interval])) * 60",
                legend="{{result}}",
            ),
        ),
        stacked=True,
        colours={"stored": GOOD, "failed": BAD},
    ),
)

_REPLICAS = (
    Panel(
        kind="table",
        title="Replicas",
        says="What runs, on which store, and since how many seconds.",
        unit="s",
        width=24,
        height=6,
        queries=(
            Query(expr="sum by (instance, version, python) (taxiway_build_info{@})", instant=True),
            Query(expr="sum by (instance, backend, schema) (taxiway_store_info{@})", instant=True),
            Query(expr="sum by (instance) (time() - process_start_time_seconds{@})", instant=True),
        ),
        nothing="none",
        columns={
            "instance": "replica",
            "version": "version",
            "python": "Python",
            "backend": "store",
            "schema": "schema",
            "Value #C": "runs for",
        },
    ),
)

RUNTIME = Page(
    uid="taxiway-runtime",
    title="Taxiway / Runtime and store",
    asks="Is a replica sick?",
    sections=(
        Section(panels=_TOP),
        Section(title="Processes", panels=_PROCESS),
        Section(title="Store and background tasks", panels=_STORES),
        Section(title="Streams and images", panels=_STREAMS, collapsed=True),
        Section(title="Replicas", panels=_REPLICAS, collapsed=True),
    ),
)
