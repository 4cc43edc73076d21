"""Values that no setting can have, each refused in a sentence that says what is accepted."""

import pytest
import yaml
from tests.config.loading import Problems

MODEL = {"model_name": "image", "litellm_params": {"model": "runwayml/gen4_image"}}
SECONDS = "must be a number of seconds above 0"


@pytest.mark.parametrize(
    ("section", "key", "value", "clause"),
    [
        pytest.param(
            "router_settings",
            "fallbacks",
            [{"image": "spare"}],
            "must be a list such as [{image: [image-spare]}].",
            id="a name in place of a list",
        ),
        pytest.param(
            "litellm_settings",
            "default_key_generate_params",
            {"max_bugdet": 1},
            "must be a mapping with keys of max_budget, budget_duration, duration, rpm_limit, "
            "max_parallel_requests, tpm_limit, models, metadata, tags, user_id, team_id, soft_budget; "
            "max_bugdet is none (did you mean max_budget?).",
            id="what keys have",
        ),
        pytest.param(
            "litellm_settings",
            "default_key_generate_params",
            {"metadata": {"a": {"b": 1}}},
            "must be a mapping whose metadata is a flat mapping of texts, numbers, booleans and lists of texts.",
            id="metadata of keys",
        ),
        pytest.param("taxiway_settings", "poll_interval_s", 0, f"{SECONDS}, not 0.", id="zero"),
        pytest.param("taxiway_settings", "poll_interval_s", -2, f"{SECONDS}, not -2.", id="below"),
        pytest.param(
            "taxiway_settings", "poll_interval_s", float("nan"), f"{SECONDS}, not nan.", id="NaN"
        ),
        pytest.param(
            "taxiway_settings",
            "poll_interval_s",
            float("inf"),
            f"{SECONDS}, not inf.",
            id="endless",
        ),
        pytest.param(
            "taxiway_settings", "poll_interval_s", True, f"{SECONDS}, not true.", id="a flag"
        ),
        pytest.param(
            "taxiway_settings", "poll_interval_s", [], f"{SECONDS}, not a list.", id="list"
        ),
        pytest.param(
            "taxiway_settings",
            "poll_interval_s",
            10**4000,
            f"{SECONDS}, not a huge number.",
            id="huge",
        ),
        pytest.param(
            "taxiway_settings",
            "poll_interval_s",
            "2 s",
            f"{SECONDS}, not '2 s'.",
            id="with its unit",
        ),
        pytest.param(
            "taxiway_settings",
            "poll_interval_s",
            b"2",
            f"{SECONDS}, not a value of type bytes.",
            id="bytes",
        ),
        pytest.param(
            "taxiway_settings",
            "log_level",
            "loud " * 99,
            f"must be debug, info, warning or error, not '{'loud ' * 11}lo…'.",
            id="a long text",
        ),
        pytest.param(
            "taxiway_settings",
            "log_level",
            "sk-12345",
            "must be debug, info, warning or error, not ***.",
            id="a key at the wrong place",
        ),
        pytest.param(
            "taxiway_settings",
            "public_url",
            "https://a b",
            "must be an address such as https://images.example.com.",
            id="a blank",
        ),
        pytest.param(
            "taxiway_settings",
            "cors_origins",
            5,
            "must be a list of origins such as https://app.example.com, not 5.",
            id="a number of origins",
        ),
        pytest.param("router_settings", "timeout", "soon", f"{SECONDS}, not 'soon'.", id="a word"),
        pytest.param(
            "router_settings",
            "num_retries",
            1.5,
            "must be a whole number of retries, 0 or more, not 1.5.",
            id="a fraction",
        ),
        pytest.param(
            "router_settings",
            "routing_strategy",
            "least_busy",
            "must be simple-shuffle, least-busy, usage-based-routing, usage-based-routing-v2,"
            " latency-based-routing, cost-based-routing or lar1, not 'least_busy'.",
            id="a strategy",
        ),
        pytest.param(
            "litellm_settings",
            "drop_params",
            "maybe",
            "must be true or false, not 'maybe'.",
            id="neither",
        ),
        pytest.param(
            "litellm_settings",
            "ssl_verify",
            "/etc/ca.pem",
            "must be true or false, not '/etc/ca.pem'.",
            id="a bundle of certificates",
        ),
        pytest.param(
            "general_settings",
            "max_request_size_mb",
            5000,
            "must be a number of megabytes above 0 and at most 1024, not 5000.",
            id="too large",
        ),
        pytest.param(
            "general_settings",
            "master_key",
            1234,
            "must be a key, in text of ASCII letters, digits and signs without blanks.",
            id="a key that is a number",
        ),
        pytest.param(
            "general_settings",
            "master_key",
            "",
            "must be a key, in text of ASCII letters, digits and signs without blanks.",
            id="an empty key",
        ),
        pytest.param(
            "general_settings",
            "litellm_key_header_name",
            "X Key",
            "must be the name of an HTTP header, not 'X Key'.",
            id="a header",
        ),
        pytest.param(
            "general_settings",
            "database_url",
            "taxiway",
            "must be a database address such as sqlite:///taxiway.db or postgresql://host/name.",
            id="no address",
        ),
        pytest.param(
            "taxiway_settings",
            "port",
            "4000a",
            "must be a port, from 0 (any free one) to 65535, not '4000a'.",
            id="no port",
        ),
        pytest.param(
            "taxiway_settings",
            "host",
            "http://a",
            "must be an IP address or a host name, without a port, not 'http://a'.",
            id="an address for a host",
        ),
        pytest.param(
            "taxiway_settings",
            "on_disconnect",
            "stop",
            "must be continue or cancel, not 'stop'.",
            id="an unknown word",
        ),
        pytest.param(
            "taxiway_settings",
            "public_url",
            "ftp://a",
            "must be an address such as https://images.example.com.",
            id="another protocol",
        ),
        pytest.param(
            "taxiway_settings",
            "public_url",
            "https://a?b=c",
            "must be an address such as https://images.example.com.",
            id="a query",
        ),
        pytest.param(
            "taxiway_settings",
            "public_url",
            "https://[::1",
            "must be an address such as https://images.example.com.",
            id="half a bracket",
        ),
        pytest.param(
            "taxiway_settings",
            "cors_origins",
            ["https://a/b"],
            "must be a list of origins such as https://app.example.com, without a path, or *,"
            " not a list.",
            id="an origin with a path",
        ),
    ],
)
def test_a_value_that_cannot_be(
    problems: Problems,
    section: str,
    key: str,
    value: object,
    clause: str,
) -> None:
    """A wrong value stops the start, in a sentence with the place, what is accepted, and what is there."""
    document = {"model_list": [MODEL], section: {key: value}}

    assert problems(yaml.safe_dump(document)) == (f"{section}.{key} {clause}",)
