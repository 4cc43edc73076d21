"""LiteLLM's settings as this release takes them: three sections and the top level.

A table per section: the key, then what becomes of it. `later` words wait for their feature; to honour one is
to replace its line by `sets(field, reader)`.
"""

from taxiway.config import further
from taxiway.config.addresses import database_url
from taxiway.config.key_params import (
    budget_of_all,
    key_params,
    period,
    provider_budgets,
    status,
)
from taxiway.config.policies import fallbacks, names, not_negative, per_group, per_trouble
from taxiway.config.values import (
    flag,
    header_name,
    megabytes,
    positive,
    secret,
    whole,
)
from taxiway.config.words import Vocabulary, handled, idle, later, no_effect, refused, sets

SHARED_STATE = "state is kept in the store, not in Redis"
LEDGER = "every job is written to the store with its cost"
GUARDRAILS = "Taxiway runs no guardrails, and requests must not pass unchecked"
ACCOUNTS = "accounts are looked at once a minute in any case, and no look buys an image"
CALLERS = "Taxiway knows no other way to tell callers apart, and would let too many in"


#: Checks of LiteLLM's that every task goes through.
_CHECKED = frozenset({"enforce_model_rate_limits", "router_budget_limiting"})


def _only_prometheus(raw: object) -> bool:
    names = raw if isinstance(raw, list) else [raw]
    return all(name == "prometheus" for name in names)


def _always_checked(raw: object) -> bool:
    return isinstance(raw, list) and set(raw) <= _CHECKED


def _is_true(raw: object) -> bool:
    return raw is True


def _verbose(raw: object) -> str | None:
    return "debug" if flag(raw) else None


def _not(raw: object) -> bool:
    return not flag(raw)


def _off(raw: object) -> bool | None:
    return False if flag(raw) else None


def _on_disconnect(raw: object) -> str:
    return "cancel" if flag(raw) else "continue"


TOP = Vocabulary(
    "the file",
    {
        "model_list": handled(),
        "router_settings": handled(),
        "litellm_settings": handled(),
        "general_settings": handled(),
        "taxiway_settings": handled(),
        "environment_variables": handled(),
        "credential_list": handled(),
        "include": handled(),
        "guardrails": refused(GUARDRAILS),
        "policies": refused(GUARDRAILS),
        "policy_attachments": refused(GUARDRAILS),
        "callback_settings": no_effect(further.OUTLETS),
        **further.TOP,
    },
)

ROUTER = Vocabulary(
    "router_settings",
    {
        "num_retries": sets("num_retries", whole("retries", least=0)),
        "timeout": sets("job_timeout_s", positive("seconds")),
        "model_group_alias": handled(),
        "routing_strategy": handled(),
        "routing_strategy_args": handled(),
        "stream_timeout": sets("stream_timeout_s", positive("seconds")),
        "retry_policy": sets("retry_policy", per_trouble("Retries"), private=True),
        "model_group_retry_policy": sets(
            "group_retry_policies", per_group("Retries"), private=True
        ),
        "retry_after": sets("retry_after_s", not_negative("seconds")),
        "fallbacks": sets("fallbacks", fallbacks, private=True),
        "default_fallbacks": sets("default_fallbacks", names),
        "content_policy_fallbacks": sets("content_policy_fallbacks", fallbacks, private=True),
        "max_fallbacks": sets("max_fallbacks", whole("fallbacks", least=0)),
        "allowed_fails": sets("allowed_fails", whole("failures", least=0)),
        "allowed_fails_policy": sets(
            "allowed_fails_policy", per_trouble("AllowedFails"), private=True
        ),
        "cooldown_time": sets("cooldown_time_s", not_negative("seconds")),
        "disable_cooldowns": sets("cooldowns", _not),
        "default_max_parallel_requests": sets("max_parallel_requests", whole("tasks", least=1)),
        "enable_tag_filtering": sets("tag_filtering", flag),
        "tag_filtering_match_any": sets("tag_match_any", flag),
        "provider_budget_config": sets("provider_budgets", provider_budgets),
        "optional_pre_call_checks": no_effect(
            "limits are always checked, and nothing else is", silent=_always_checked
        ),
        "enable_weighted_failover": no_effect(
            "a repeated task goes to another deployment first", silent=_is_true
        ),
        "context_window_fallbacks": no_effect(further.TEXT),
        "enable_pre_call_checks": no_effect(further.TEXT),
        "redis_*": no_effect(SHARED_STATE),
        "cache_*": no_effect("`Idempotency-Key` says which requests are the same"),
        "routing_groups": no_effect("every name has one way of routing"),
        "enable_health_check_routing": no_effect(further.HEALTH),
        "guardrail_list": refused(GUARDRAILS),
        **further.ROUTER,
    },
)

LITELLM = Vocabulary(
    "litellm_settings",
    {
        "drop_params": sets("drop_params", flag),
        "ssl_verify": sets("verify_tls", flag),
        "num_retries": sets("num_retries", whole("retries", least=0)),
        "request_timeout": sets("job_timeout_s", positive("seconds")),
        "set_verbose": sets("log_level", _verbose),
        "turn_off_message_logging": sets("log_prompts", _off),
        "json_logs": handled(),  # logs have a structure in any case
        "redact_user_api_key_info": handled(),  # keys are never logged
        "fallbacks": sets("fallbacks", fallbacks, private=True),
        "default_fallbacks": sets("default_fallbacks", names),
        "content_policy_fallbacks": sets("content_policy_fallbacks", fallbacks, private=True),
        "max_fallbacks": sets("max_fallbacks", whole("fallbacks", least=0)),
        "allowed_fails": sets("allowed_fails", whole("failures", least=0)),
        "max_budget": sets("max_budget_microusd", budget_of_all),
        "budget_duration": sets("budget_duration", period),
        "budget_exceeded_status_code": sets("budget_exceeded_status", status),
        "upperbound_key_generate_params": sets(
            "key_bounds", key_params(labels=False), private=True
        ),
        "default_key_generate_params": sets("key_defaults", key_params(labels=True), private=True),
        "require_auth_for_metrics_endpoint": sets("metrics_need_key", flag),
        "callbacks": no_effect(further.OUTLETS, silent=_only_prometheus),
        "success_callback": no_effect(further.OUTLETS, silent=_only_prometheus),
        "failure_callback": no_effect(further.OUTLETS, silent=_only_prometheus),
        "service_callback": no_effect(further.OUTLETS, silent=_only_prometheus),
        "prometheus_*": no_effect("the metrics have one small, fixed set of labels"),
        "cache": no_effect("`Idempotency-Key` says which requests are the same"),
        "cache_params": no_effect("`Idempotency-Key` says which requests are the same"),
        "custom_provider_map": no_effect("Taxiway has its own adapters"),
        "default_team_settings": no_effect(further.TEAMS),
        "guardrails": refused(GUARDRAILS),
        "guardrail_name_config_map": refused(GUARDRAILS),
        "pre_call_rules": refused(GUARDRAILS),
        "post_call_rules": refused(GUARDRAILS),
        "blocked_user_list": refused(GUARDRAILS),
        "banned_keywords_list": refused(GUARDRAILS),
        **further.LITELLM,
    },
)

GENERAL = Vocabulary(
    "general_settings",
    {
        "master_key": sets("master_key", secret, private=True),
        "database_url": sets("database_url", database_url, private=True),
        "litellm_key_header_name": sets("key_header", header_name),
        "max_request_size_mb": sets("max_body_bytes", megabytes),
        "cancel_on_disconnect": sets("on_disconnect", _on_disconnect),
        "max_queued_requests_per_worker": sets("max_queued_jobs", whole("jobs", least=1)),
        "database_connection_pool_limit": later("the store chooses the size of its pool"),
        "database_connection_timeout": later("the store chooses how long it waits"),
        "database_connection_pool_timeout": later("the store chooses how long it waits"),
        "max_parallel_requests": sets("max_parallel_per_key", whole("jobs", least=1)),
        "global_max_parallel_requests": sets("max_parallel_total", whole("jobs", least=1)),
        "background_health_checks": no_effect(ACCOUNTS, silent=_is_true),
        "health_check_interval": no_effect(ACCOUNTS),
        **idle(
            "a waiting job costs no thread, so only the queue's length is limited",
            "max_in_flight_requests_per_worker admission_queue_timeout_seconds",
        ),
        **idle(
            "without the store no job can be accepted",
            "allow_requests_on_db_unavailable fail_closed_rate_limit_enforcement",
        ),
        "disable_budget_reservation": no_effect("a reservation is never skipped"),
        "dangerously_permit_weak_or_unset_master_key": no_effect(
            "without a master key only this machine is served"
        ),
        "coordination_redis": no_effect(SHARED_STATE),
        **idle(
            LEDGER,
            "store_model_in_db store_prompts_in_spend_logs disable_spend_logs proxy_batch_write_at"
            " maximum_spend_logs_*",
        ),
        "alert*": no_effect("alerts are Prometheus's to send"),
        "pass_through_endpoints": no_effect("Taxiway makes images and passes nothing through"),
        "enable_drain_endpoint": no_effect("SIGTERM drains a process"),
        "custom_auth": refused(CALLERS),
        "enable_jwt_auth": refused(CALLERS),
        "allowed_routes": refused(CALLERS),
        **{name: refused(CALLERS) for name in further.GATES},
        **further.GENERAL,
    },
)
