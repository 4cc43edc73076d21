"""Variables of the environment: Taxiway's own, LiteLLM's, secrets in files, and which source counts."""

from pathlib import Path

import pytest
from tests.config.loading import KEY, Load, Problems

from taxiway.config import Loaded, load_settings
from taxiway.config.environment import SECRETS, VARIABLES
from taxiway.config.knobs import KNOBS
from taxiway.config.words import Verdict
from taxiway.errors import ConfigError
from taxiway.settings import Secret

MODEL = "model_list: [{model_name: image, litellm_params: {model: runwayml/gen4_image}}]\n"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a function that loads the text of a configuration within an environment."""

    def load_text(text: str | None = None, **environ: str) -> Loaded:
        path = tmp_path / "config.yaml"
        path.write_text(MODEL + (text or ""))
        return load_settings(path=path if text is not None else None, environ=KEY | environ)

    return load_text


@pytest.fixture
def problems(load: Load) -> Problems:
    """Return a function that gives the sentences with which an environment is refused."""

    def problems_of(text: str | None = None, **environ: str) -> tuple[str, ...]:
        with pytest.raises(ConfigError) as caught:
            load(text, **environ)
        return caught.value.problems

    return problems_of


@pytest.mark.parametrize(
    ("name", "text", "field", "expected"),
    [
        ("TAXIWAY_HOST", "127.0.0.2", "host", "127.0.0.2"),
        ("TAXIWAY_PORT", "5000", "port", 5000),
        ("TAXIWAY_METRICS_PORT", "9090", "metrics_port", 9090),
        ("TAXIWAY_MASTER_KEY", "sk-12345\n", "master_key", Secret("sk-12345")),
        ("TAXIWAY_DATABASE_URL", "postgresql://h/d", "database_url", "postgresql://h/d"),
        ("TAXIWAY_POLL_INTERVAL_S", "0.5", "poll_interval_s", 0.5),
        ("TAXIWAY_JOB_TIMEOUT_S", "90", "job_timeout_s", 90.0),
        ("TAXIWAY_NUM_RETRIES", "0", "num_retries", 0),
        ("TAXIWAY_ON_DISCONNECT", "cancel", "on_disconnect", "cancel"),
        ("TAXIWAY_LOG_LEVEL", "DEBUG", "log_level", "debug"),
        ("TAXIWAY_LOG_PROMPTS", "1", "log_prompts", True),
        ("TAXIWAY_SHUTDOWN_BUDGET_S", "5", "shutdown_budget_s", 5.0),
        ("TAXIWAY_MAX_BODY_MB", "1", "max_body_bytes", 1_048_576),
        ("TAXIWAY_MAX_QUEUED_JOBS", "7", "max_queued_jobs", 7),
        (
            "TAXIWAY_CORS_ORIGINS",
            "https://a, https://b",
            "cors_origins",
            ("https://a", "https://b"),
        ),
        ("TAXIWAY_PUBLIC_URL", "https://a/", "public_url", "https://a"),
        ("TAXIWAY_SSE_HEARTBEAT_S", "5", "sse_heartbeat_s", 5.0),
        ("TAXIWAY_SSE_WRITE_TIMEOUT_S", "5", "sse_write_timeout_s", 5.0),
        ("TAXIWAY_SSE_MAX_AGE_S", "60", "sse_max_age_s", 60.0),
        ("TAXIWAY_SSE_MAX_STREAMS", "9", "sse_max_streams", 9),
        ("RUNWAYML_POLLING_TIMEOUT", "90.5", "job_timeout_s", 90.5),
        ("LITELLM_MASTER_KEY", "sk-12345", "master_key", Secret("sk-12345")),
        ("DATABASE_URL", "postgresql://h/d", "database_url", "postgresql://h/d"),
        ("LITELLM_LOG", "ERROR", "log_level", "error"),
    ],
)
def test_a_variable_that_is_honoured(
    load: Load, name: str, text: str, field: str, expected: object
) -> None:
    """A variable sets what its name says, with and without a file."""
    assert getattr(load(**{name: text}).settings, field) == expected
    assert getattr(load("", **{name: text}).settings, field) == expected


@pytest.mark.parametrize(
    ("name", "text", "field", "expected"),
    [
        ("RUNWAYML_API_SECRET", "key_1", "api_key", Secret("key_1")),
        ("RUNWAYML_API_BASE", "http://127.0.0.1:9000/v1/", "api_base", "http://127.0.0.1:9000"),
        ("RUNWAYML_DEFAULT_API_VERSION", "2025-01-01", "api_version", "2025-01-01"),
    ],
)
def test_a_variable_of_the_account(
    load: Load, name: str, text: str, field: str, expected: object
) -> None:
    """The account's variables hold for every deployment that does not say otherwise."""
    with_file, without = load("", **{name: text}), load(**{name: text})

    assert {getattr(d, field) for d in with_file.settings.deployments} == {expected}
    assert {getattr(d, field) for d in without.settings.deployments} == {expected}


def test_two_keys_in_the_environment() -> None:
    """`RUNWAYML_API_SECRET` counts before `RUNWAYML_API_KEY`, and either is enough."""
    both = {"RUNWAYML_API_KEY": "key_2", "RUNWAYML_API_SECRET": "key_1"}
    one = {"RUNWAYML_API_KEY": "key_2", "RUNWAYML_API_SECRET": ""}

    assert load_settings(path=None, environ=both).settings.deployments[0].api_key == Secret("key_1")
    assert load_settings(path=None, environ=one).settings.deployments[0].api_key == Secret("key_2")


SOURCES: list[tuple[str, dict[str, str], dict[str, object], float]] = [
    ("", {}, {}, 600.0),
    ("", {"RUNWAYML_POLLING_TIMEOUT": "1"}, {}, 1.0),
    ("litellm_settings: {request_timeout: 2}", {}, {}, 2.0),
    ("router_settings: {timeout: 3}", {}, {}, 3.0),
    ("taxiway_settings: {job_timeout_s: 4}", {}, {}, 4.0),
    ("", {"TAXIWAY_JOB_TIMEOUT_S": "5"}, {}, 5.0),
    ("", {}, {"job_timeout_s": 6}, 6.0),
]


@pytest.mark.parametrize("strongest", [pytest.param(n, id=str(SOURCES[n][3])) for n in range(7)])
def test_which_source_counts(tmp_path: Path, strongest: int) -> None:
    """Command line, own variable, own section, LiteLLM's sections, its variables: the first one counts."""
    path = tmp_path / "config.yaml"
    present = SOURCES[: strongest + 1]
    path.write_text(MODEL + "\n".join(text for text, _, _, _ in present))
    environ = KEY | {name: text for _, given, _, _ in present for name, text in given.items()}
    overrides = {name: value for _, _, given, _ in present for name, value in given.items()}
    loaded = load_settings(path=path, environ=environ, overrides=overrides)

    assert loaded.settings.job_timeout_s == SOURCES[strongest][3]


def test_a_source_that_is_outdone(problems: Problems) -> None:
    """A wrong value stops the start even where another source counts."""
    assert problems("taxiway_settings: {port: none}", TAXIWAY_PORT="5000") == (
        "taxiway_settings.port must be a port, from 0 (any free one) to 65535, not 'none'.",
    )


def test_options_of_the_command_line() -> None:
    """An option that was not given counts for nothing, and a wrong one is named as it was typed."""
    given = {"port": 5000, "host": None, "metrics_port": None}
    loaded = load_settings(path=None, environ=KEY, overrides=given)

    with pytest.raises(ConfigError) as caught:
        load_settings(
            path=None, environ=KEY, overrides={"database_url": "?", "metrics_port": -1, "prot": 1}
        )

    assert (loaded.settings.host, loaded.settings.port) == ("127.0.0.1", 5000)
    assert caught.value.problems == (
        "--database must be a database address such as sqlite:///taxiway.db or postgresql://host/name.",
        "--metrics-port must be a port, from 0 (any free one) to 65535, not -1.",
        "--prot is not an option that sets anything.",
    )


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        pytest.param(
            "TAXIWAY_POLL_INTERVAL_S",
            "2s",
            "TAXIWAY_POLL_INTERVAL_S must be a number of seconds above 0, not '2s'.",
            id="a unit",
        ),
        pytest.param(
            "TAXIWAY_PORT",
            "tcp://10.0.0.7:4000",
            "TAXIWAY_PORT holds the address of a Kubernetes Service instead of a port;"
            " set enableServiceLinks: false in the pod, or rename the Service.",
            id="a Service's link",
        ),
        pytest.param(
            "TAXIWAY_METRICS_PORT",
            "tcp://10.0.0.7:9090",
            "TAXIWAY_METRICS_PORT holds the address of a Kubernetes Service instead of a port;"
            " set enableServiceLinks: false in the pod, or rename the Service.",
            id="another Service's link",
        ),
        pytest.param(
            "RUNWAYML_API_BASE",
            "api.dev.runwayml.com",
            "RUNWAYML_API_BASE must be an address such as https://api.dev.runwayml.com.",
            id="no address",
        ),
        pytest.param(
            "RUNWAYML_DEFAULT_API_VERSION",
            "latest",
            "RUNWAYML_DEFAULT_API_VERSION must be a date such as 2024-11-06, not 'latest'.",
            id="no date",
        ),
        pytest.param(
            "LITELLM_LOG",
            "LOUD",
            "LITELLM_LOG must be debug, info, warning or error, not 'LOUD'.",
            id="no level",
        ),
    ],
)
def test_a_variable_that_cannot_be(problems: Problems, name: str, text: str, sentence: str) -> None:
    """A wrong variable stops the start by its name."""
    assert problems(**{name: text}) == (sentence,)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        pytest.param(
            "TAXIWAY_POLL_INTERVALS",
            "TAXIWAY_POLL_INTERVALS is not a variable of Taxiway; did you mean"
            " TAXIWAY_POLL_INTERVAL_S?",
            id="misspelt",
        ),
        pytest.param(
            "TAXIWAY_port",
            "TAXIWAY_port is not a variable of Taxiway; did you mean TAXIWAY_PORT?",
            id="in small letters",
        ),
        pytest.param(
            "TAXIWAY_ZEBRA", "TAXIWAY_ZEBRA is not a variable of Taxiway.", id="like nothing"
        ),
    ],
)
def test_a_variable_that_nobody_knows(load: Load, name: str, sentence: str) -> None:
    """A variable that Taxiway does not know is warned about, with the nearest one it does."""
    assert [finding.sentence for finding in load(**{name: "1"}).findings] == [sentence]


@pytest.mark.parametrize(
    "name",
    [f"TAXIWAY_{n.upper()}" for n, word in KNOBS if word.verdict is Verdict.LATER]
    + [n for n, word in VARIABLES if word.verdict is Verdict.NO_EFFECT],
)
def test_a_variable_without_effect(load: Load, name: str) -> None:
    """A variable that does nothing is warned about."""
    (finding,) = load(**{name: "1"}).findings

    assert finding.key == name
    assert finding.sentence.startswith(f"{name} has no effect")


@pytest.mark.parametrize(
    "name",
    [
        "TAXIWAY_SERVICE_HOST",
        "TAXIWAY_SERVICE_PORT",
        "TAXIWAY_SERVICE_PORT_HTTP",
        "TAXIWAY_PORT_4000_TCP",
        "TAXIWAY_PORT_4000_TCP_ADDR",
        "TAXIWAY_METRICS_SERVICE_HOST",
    ],
)
def test_links_of_kubernetes(load: Load, name: str) -> None:
    """What Kubernetes adds for a Service of that name is no setting, and no reason for a warning."""
    assert load(**{name: "10.0.0.7"}).findings == ()


def test_an_empty_variable(load: Load) -> None:
    """An empty variable is an unset one."""
    loaded = load(TAXIWAY_PORT="", RUNWAYML_API_BASE=" ", TAXIWAY_ZEBRA="", NUM_WORKERS="")

    assert (loaded.settings.port, loaded.findings) == (4000, ())


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_in_a_file(load: Load, tmp_path: Path, name: str) -> None:
    """`NAME_FILE` names the file that holds a secret, also where a configuration names the variable."""
    path = tmp_path / "secret"
    path.write_text("sqlite:///secret.db\n")
    loaded = load(
        f"general_settings: {{master_key: os.environ/{name}}}",
        **{f"{name}_FILE": str(path), "RUNWAYML_API_SECRET": ""},
        RUNWAYML_API_KEY="" if name.startswith("RUNWAYML") else "key_1",
    )

    if not name.startswith("TAXIWAY"):
        assert loaded.settings.master_key == Secret("sqlite:///secret.db")
    assert loaded.findings == ()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(None, "No such file or directory", id="absent"),
        pytest.param(b" \n", "it is empty", id="empty"),
        pytest.param(b"\xff\xfe\xfa", "it is not text in UTF-8", id="bytes"),
        pytest.param(b"x" * 20_000, "it is larger than any secret", id="large"),
    ],
)
def test_a_secret_file_that_cannot_be_used(
    problems: Problems, tmp_path: Path, content: bytes | None, why: str
) -> None:
    """A secret's file that is not there, or holds no secret, stops the start."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)

    assert problems(TAXIWAY_MASTER_KEY_FILE=str(path)) == (
        f"The file that TAXIWAY_MASTER_KEY_FILE names cannot be used: {why}.",
    )


def test_a_secret_in_two_places(problems: Problems, tmp_path: Path) -> None:
    """A secret that is given both ways stops the start."""
    path = tmp_path / "secret"
    path.write_text("key_2")

    assert problems(RUNWAYML_API_SECRET_FILE=str(path)) == (
        "RUNWAYML_API_SECRET and RUNWAYML_API_SECRET_FILE are both set; keep one.",
    )


def test_variables_in_the_file(load: Load) -> None:
    """`environment_variables` are variables like any other, and one that replaces another is named."""
    loaded = load(
        """
environment_variables:
  RUNWAYML_API_SECRET: os.environ/OTHER
  RUNWAYML_POLLING_TIMEOUT: 90
  LEVEL: debug
  PROMPTS: false
taxiway_settings: {log_level: os.environ/LEVEL, log_prompts: os.environ/PROMPTS}
""",
        OTHER="key_2",
    )

    assert loaded.settings.deployments[0].api_key == Secret("key_2")
    assert (loaded.settings.job_timeout_s, loaded.settings.log_level) == (90.0, "debug")
    assert [finding.sentence for finding in loaded.findings] == [
        (
            "environment_variables.RUNWAYML_API_SECRET replaces the value that the environment gives"
            " this variable."
        )
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param(
            "environment_variables: {TAXIWAY_PORT: 5000}",
            "environment_variables.TAXIWAY_PORT belongs in taxiway_settings, or in the environment"
            " itself.",
            id="Taxiway's own",
        ),
        pytest.param(
            "environment_variables: {A: [1]}",
            "environment_variables.A must be text, a number, or true or false.",
            id="a list",
        ),
        pytest.param(
            "environment_variables: [A]",
            "environment_variables must be a mapping of variables, not a list.",
            id="no mapping",
        ),
    ],
)
def test_variables_in_the_file_that_cannot_be(problems: Problems, text: str, sentence: str) -> None:
    """A variable that no file can set stops the start."""
    assert problems(text) == (sentence,)
