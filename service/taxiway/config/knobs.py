"""Taxiway's own settings: one table behind `taxiway_settings`, the `TAXIWAY_…` variables and the command line."""

from taxiway.config.addresses import (
    artifacts_url,
    database_url,
    host,
    networks,
    origins,
    web_url,
    webhook_url,
)
from taxiway.config.values import (
    choice,
    flag,
    megabytes,
    port,
    positive,
    secret,
    webhook_secrets,
    whole,
)
from taxiway.config.words import Vocabulary, sets

_PUBLIC_URL = web_url("https://images.example.com")

KNOBS = Vocabulary(
    "taxiway_settings",
    {
        "host": sets("host", host),
        "port": sets("port", port),
        "metrics_port": sets("metrics_port", port),
        "master_key": sets("master_key", secret, private=True),
        "database_url": sets("database_url", database_url, private=True),
        "artifacts_url": sets("artifacts_url", artifacts_url, private=True),
        "job_retention_days": sets("job_retention_days", whole("days", least=1)),
        "poll_interval_s": sets("poll_interval_s", positive("seconds")),
        "job_timeout_s": sets("job_timeout_s", positive("seconds")),
        "num_retries": sets("num_retries", whole("retries", least=0)),
        "resubmit_unknown": sets("resubmit_unknown", flag),
        "retry_charged": sets("retry_charged", flag),
        "on_disconnect": sets("on_disconnect", choice("continue", "cancel")),
        "log_level": sets("log_level", choice("debug", "info", "warning", "error")),
        "log_prompts": sets("log_prompts", flag),
        "lease_s": sets("lease_s", positive("seconds")),
        "shutdown_budget_s": sets("shutdown_budget_s", positive("seconds")),
        "max_body_mb": sets("max_body_bytes", megabytes),
        "max_queued_jobs": sets("max_queued_jobs", whole("jobs", least=1)),
        "cors_origins": sets("cors_origins", origins),
        "public_url": sets("public_url", _PUBLIC_URL, private=True),
        "webhook_url": sets("webhook_url", webhook_url, private=True),
        "webhook_secrets": sets("webhook_secrets", webhook_secrets, private=True),
        "webhook_networks": sets("webhook_networks", networks),
        "sse_heartbeat_s": sets("sse_heartbeat_s", positive("seconds")),
        "sse_write_timeout_s": sets("sse_write_timeout_s", positive("seconds")),
        "sse_max_age_s": sets("sse_max_age_s", positive("seconds")),
        "sse_max_streams": sets("sse_max_streams", whole("streams", least=1)),
    },
)
