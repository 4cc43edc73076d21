"""The words of a configuration: each key of each section, and what becomes of it."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest
import yaml

from taxiway.config import Loaded, litellm, load_settings, params
from taxiway.config.knobs import KNOBS
from taxiway.config.words import Verdict, Vocabulary, Word
from taxiway.errors import ConfigError
from taxiway.settings import Budget, Deployment, KeyParams, Routing, Secret, Settings
from taxiway.vendors import RUNWAYML

Load = Callable[[dict[str, object]], Loaded]

MODEL = {"model": "runwayml/gen4_image", "api_key": "key_1"}
SECTIONS = (litellm.ROUTER, litellm.LITELLM, litellm.GENERAL, KNOBS)
PARAMS = params.litellm_params(RUNWAYML, ())


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a function that loads a document, and lists a model where the document lists none."""

    def load_document(document: dict[str, object]) -> Loaded:
        path = tmp_path / "config.yaml"
        entry = {"model_name": "image", "litellm_params": MODEL}
        path.write_text(yaml.safe_dump({"model_list": [entry]} | document))
        return load_settings(path=path, environ={})

    return load_document


@pytest.fixture
def problems(load: Load) -> Callable[[dict[str, object]], tuple[str, ...]]:
    """Return a function that gives the sentences with which a document is refused."""

    def problems_of(document: dict[str, object]) -> tuple[str, ...]:
        with pytest.raises(ConfigError) as caught:
            load(document)
        return caught.value.problems

    return problems_of


def within(vocabulary: Vocabulary, key: str, value: object) -> tuple[dict[str, object], str]:
    """Return a document with one key in the place where its section stands, and the key's path."""
    if vocabulary is litellm.TOP:
        return {key: value}, key
    if vocabulary is PARAMS:
        entry: dict[str, object] = {"model_name": "image", "litellm_params": {**MODEL, key: value}}
        return {"model_list": [entry]}, f"model_list[0].litellm_params.{key}"
    if vocabulary is params.INFO:
        entry = {"model_name": "image", "litellm_params": MODEL, "model_info": {key: value}}
        return {"model_list": [entry]}, f"model_list[0].model_info.{key}"
    return {vocabulary.section: {key: value}}, f"{vocabulary.section}.{key}"


def words(*verdicts: Verdict) -> list[object]:
    """Return every word with one of the verdicts as a row."""
    return [
        pytest.param(vocabulary, name.replace("*", "some"), word, id=f"{vocabulary.section}.{name}")
        for vocabulary in (litellm.TOP, *SECTIONS, PARAMS, params.INFO)
        for name, word in vocabulary
        if word.verdict in verdicts
    ]


@pytest.mark.parametrize(("vocabulary", "key", "word"), words(Verdict.LATER, Verdict.NO_EFFECT))
def test_a_key_without_effect(load: Load, vocabulary: Vocabulary, key: str, word: Word) -> None:
    """A key that does nothing is accepted, and one warning names it and says why."""
    value = "latency-based-routing" if key == "routing_strategy" else 1
    document, place = within(vocabulary, key, value)
    when = " in this release" if word.verdict is Verdict.LATER else ""

    assert [(each.key, each.sentence) for each in load(document).findings] == [
        (place, f"{place} has no effect{when}: {word.why}.")
    ]


@pytest.mark.parametrize(("vocabulary", "key", "word"), words(Verdict.REFUSED))
def test_a_key_that_is_refused(
    load: Load,
    problems: Callable[[dict[str, object]], tuple[str, ...]],
    vocabulary: Vocabulary,
    key: str,
    word: Word,
) -> None:
    """A key whose loss would take a protection away stops the start, unless it is switched off."""
    document, place = within(vocabulary, key, ["on"])

    assert problems(document) == (f"{place} is refused: {word.why}.",)
    assert load(within(vocabulary, key, False)[0]).findings == ()


WEBHOOK_SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSB0ZXN0cyBvZiB3ZWJob29rcyE="

HONOURED: list[tuple[str, str, object, str, object]] = [
    ("router_settings", "num_retries", 5, "num_retries", 5),
    ("router_settings", "timeout", 90.5, "job_timeout_s", 90.5),
    ("litellm_settings", "num_retries", 0, "num_retries", 0),
    ("litellm_settings", "request_timeout", "600", "job_timeout_s", 600.0),
    ("litellm_settings", "max_budget", 100, "max_budget_microusd", 100_000_000),
    ("litellm_settings", "max_budget", 0, "max_budget_microusd", None),
    ("litellm_settings", "require_auth_for_metrics_endpoint", True, "metrics_need_key", True),
    ("litellm_settings", "budget_duration", "30d", "budget_duration", "30d"),
    (
        "router_settings",
        "provider_budget_config",
        {"runwayml": {"budget_limit": 1.5, "time_period": "1d"}},
        "provider_budgets",
        {"runwayml": Budget(microusd=1_500_000, duration="1d")},
    ),
    ("litellm_settings", "budget_exceeded_status_code", 402, "budget_exceeded_status", 402),
    (
        "litellm_settings",
        "upperbound_key_generate_params",
        {"max_budget": "2.5", "budget_duration": "1mo", "tpm_limit": 5, "rpm_limit": None},
        "key_bounds",
        KeyParams(max_budget_microusd=2_500_000, budget_duration="1mo"),
    ),
    (
        "litellm_settings",
        "default_key_generate_params",
        {"models": ["gen4"], "duration": "30d", "rpm_limit": 9, "max_parallel_requests": 2},
        "key_defaults",
        KeyParams(models=("gen4",), duration="30d", rpm_limit=9, max_parallel_requests=2),
    ),
    (
        "litellm_settings",
        "default_key_generate_params",
        {"metadata": {"setting": "default"}, "team_id": "core", "user_id": "u", "tags": ["x"]},
        "key_defaults",
        KeyParams(metadata={"setting": "default"}, team_id="core", user_id="u", tags=("x",)),
    ),
    ("litellm_settings", "set_verbose", True, "log_level", "debug"),
    ("litellm_settings", "set_verbose", False, "log_level", "info"),
    ("litellm_settings", "turn_off_message_logging", True, "log_prompts", False),
    ("general_settings", "master_key", "sk-12345", "master_key", Secret("sk-12345")),
    ("general_settings", "database_url", "sqlite:///b.db", "database_url", "sqlite:///b.db"),
    ("general_settings", "litellm_key_header_name", "X-Key", "key_header", "X-Key"),
    ("general_settings", "max_request_size_mb", 1.5, "max_body_bytes", 1_572_864),
    ("general_settings", "cancel_on_disconnect", True, "on_disconnect", "cancel"),
    ("general_settings", "cancel_on_disconnect", False, "on_disconnect", "continue"),
    ("general_settings", "max_queued_requests_per_worker", 50, "max_queued_jobs", 50),
    ("taxiway_settings", "host", "localhost", "host", "localhost"),
    ("taxiway_settings", "host", "[::1]", "host", "::1"),
    ("taxiway_settings", "port", 0, "port", 0),
    ("taxiway_settings", "metrics_port", 9090, "metrics_port", 9090),
    ("taxiway_settings", "master_key", "sk-12345", "master_key", Secret("sk-12345")),
    ("taxiway_settings", "database_url", "sqlite:///a.db", "database_url", "sqlite:///a.db"),
    ("taxiway_settings", "artifacts_url", "s3://b/p", "artifacts_url", "s3://b/p"),
    ("taxiway_settings", "artifacts_url", "file:///a b", "artifacts_url", "file:///a b"),
    ("taxiway_settings", "artifacts_url", "None", "artifacts_url", "none"),
    ("taxiway_settings", "job_retention_days", 30, "job_retention_days", 30),
    ("taxiway_settings", "poll_interval_s", 0.5, "poll_interval_s", 0.5),
    ("taxiway_settings", "job_timeout_s", 60, "job_timeout_s", 60.0),
    ("taxiway_settings", "num_retries", 1, "num_retries", 1),
    ("taxiway_settings", "on_disconnect", "cancel", "on_disconnect", "cancel"),
    ("taxiway_settings", "log_level", "WARNING", "log_level", "warning"),
    ("taxiway_settings", "shutdown_budget_s", 5, "shutdown_budget_s", 5.0),
    ("taxiway_settings", "max_body_mb", 2, "max_body_bytes", 2_097_152),
    ("taxiway_settings", "max_queued_jobs", 3, "max_queued_jobs", 3),
    ("taxiway_settings", "lease_s", 30, "lease_s", 30.0),
    ("taxiway_settings", "resubmit_unknown", True, "resubmit_unknown", True),
    ("taxiway_settings", "retry_charged", True, "retry_charged", True),
    (
        "taxiway_settings",
        "cors_origins",
        ["https://a.example/", "*"],
        "cors_origins",
        ("https://a.example", "*"),
    ),
    (
        "taxiway_settings",
        "cors_origins",
        "http://a,http://b:8080",
        "cors_origins",
        ("http://a", "http://b:8080"),
    ),
    ("taxiway_settings", "public_url", "https://a.example/x/", "public_url", "https://a.example/x"),
    ("taxiway_settings", "sse_heartbeat_s", 5, "sse_heartbeat_s", 5.0),
    ("taxiway_settings", "sse_write_timeout_s", 5, "sse_write_timeout_s", 5.0),
    ("taxiway_settings", "sse_max_age_s", 60, "sse_max_age_s", 60.0),
    (
        "taxiway_settings",
        "webhook_secrets",
        WEBHOOK_SECRET,
        "webhook_secrets",
        (Secret(WEBHOOK_SECRET),),
    ),
    (
        "taxiway_settings",
        "webhook_networks",
        "10.0.0.0/8,fd00::/8",
        "webhook_networks",
        ("10.0.0.0/8", "fd00::/8"),
    ),
    ("taxiway_settings", "sse_max_streams", 9, "sse_max_streams", 9),
]


@pytest.mark.parametrize(
    ("section", "key", "value", "field", "expected"),
    [pytest.param(*row, id=f"{row[0]}.{row[1]}={row[2]}") for row in HONOURED],
)
def test_a_key_that_is_honoured(
    load: Load, section: str, key: str, value: object, field: str, expected: object
) -> None:
    """A key that fills a setting does so, without a warning."""
    loaded = load({section: {key: value}})

    assert getattr(loaded.settings, field) == expected
    assert loaded.findings == ()


def test_who_is_told_of_every_job_is_told_with_a_signature(load: Load) -> None:
    """`webhook_url` needs `webhook_secrets`, and HTTPS unless the settings name a network."""
    url = "https://a.example/hook?key=1"
    told = load({"taxiway_settings": {"webhook_url": url, "webhook_secrets": [WEBHOOK_SECRET]}})

    assert (url, ()) == (told.settings.webhook_url, told.findings)
    with pytest.raises(ConfigError, match="webhook_url needs webhook_secrets"):
        load({"taxiway_settings": {"webhook_url": url}})
    with pytest.raises(ConfigError, match="webhook_url must begin with https"):
        load(
            {
                "taxiway_settings": {
                    "webhook_url": "http://a.example",
                    "webhook_secrets": WEBHOOK_SECRET,
                }
            }
        )


def test_the_table_of_honoured_keys() -> None:
    """The table above names every key that fills a setting, but one that warns and one that needs another."""
    of_the_service = get_type_hints(Settings)
    filling = {
        (vocabulary.section, name)
        for vocabulary in SECTIONS
        for name, word in vocabulary
        if word.field in of_the_service
    }

    assert {row[:2] for row in HONOURED} == filling - {
        ("taxiway_settings", "log_prompts"),
        ("taxiway_settings", "webhook_url"),
    }


def test_fields_that_words_fill() -> None:
    """Every word fills a field that exists, and every setting can be set by some word."""
    settings = {word.field for vocabulary in SECTIONS for _, word in vocabulary} - {None}
    of_entries = {word.field for _, word in [*PARAMS, *params.INFO]} - {None}
    known = {each.name for each in fields(Deployment)}

    # Defaults of deployments, and what `Routing` is made of.
    inner = {"drop_params", "verify_tls", "stream_timeout_s", *get_type_hints(Routing), *known}
    assert settings - set(get_type_hints(Settings)) <= inner | {"max_parallel_per_key"}
    assert set(get_type_hints(Settings)) - settings == {
        "deployments",
        "aliases",
        "hidden_aliases",
        "routing",
    }
    assert known - of_entries == {"model_name", "provider", "model", "defaults"}
    # A price that counts where there is no other.
    assert of_entries - {"input_price_microusd"} <= known


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        pytest.param(
            "router_settings", "routing_strategy", "least-busy", id="the routing there is"
        ),
        pytest.param("litellm_settings", "callbacks", ["prometheus"], id="callbacks"),
        pytest.param("litellm_settings", "success_callback", "prometheus", id="a callback"),
        pytest.param("litellm_settings", "failure_callback", [], id="no callback"),
        pytest.param("litellm_settings", "json_logs", True, id="structured logs"),
        pytest.param("litellm_settings", "redact_user_api_key_info", True, id="keys out of logs"),
        pytest.param("litellm_settings", "require_auth_for_metrics_endpoint", False, id="metrics"),
        pytest.param("router_settings", "fallbacks", None, id="a key without a value"),
        pytest.param("general_settings", "background_health_checks", True, id="health"),
        pytest.param("router_settings", "enable_weighted_failover", True, id="another deployment"),
        pytest.param(
            "router_settings",
            "optional_pre_call_checks",
            ["router_budget_limiting", "enforce_model_rate_limits"],
            id="checks",
        ),
    ],
)
def test_a_key_that_asks_for_what_happens_anyway(
    load: Load, section: str, key: str, value: object
) -> None:
    """A key that asks for what Taxiway does in any case needs no warning."""
    assert load({section: {key: value}}).findings == ()


def test_prompts_in_the_log(load: Load) -> None:
    """Prompts are logged only where Taxiway's own setting asks for it, and then with a warning."""
    loaded = load(
        {
            "litellm_settings": {"turn_off_message_logging": True},
            "taxiway_settings": {"log_prompts": True},
        }
    )

    assert loaded.settings.log_prompts
    assert [finding.sentence for finding in loaded.findings] == [
        "log_prompts is on: the log keeps what people ask for."
    ]
