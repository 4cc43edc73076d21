"""What settings must be together: who is served where, and on which ports."""

import pytest
from tests.config.loading import KEY, Load, Problems

from taxiway.config import Loaded, load_settings
from taxiway.errors import ConfigError


@pytest.fixture
def load() -> Load:
    """Return a function that loads the settings of an environment."""

    def load_environ(**environ: str) -> Loaded:
        return load_settings(path=None, environ=KEY | environ)

    return load_environ


@pytest.fixture
def problems(load: Load) -> Problems:
    """Return a function that gives the sentences with which an environment is refused."""

    def problems_of(**environ: str) -> tuple[str, ...]:
        with pytest.raises(ConfigError) as caught:
            load(**environ)
        return caught.value.problems

    return problems_of


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST"])
def test_without_a_master_key_on_this_machine(load: Load, host: str) -> None:
    """Without a master key the service starts where only this machine reaches it."""
    assert load(TAXIWAY_HOST=host).settings.host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "images.example.com"])
def test_without_a_master_key_in_public(load: Load, problems: Problems, host: str) -> None:
    """Without a master key a public address stops the start; with one it does not."""
    assert problems(TAXIWAY_HOST=host) == (
        (
            "Without a master key only this machine is served: set general_settings.master_key or"
            f" TAXIWAY_MASTER_KEY, or leave host at 127.0.0.1 instead of {host}."
        ),
    )
    assert load(TAXIWAY_HOST=host, TAXIWAY_MASTER_KEY="sk-long").settings.host == host


def test_a_master_key_that_everybody_knows(load: Load, problems: Problems) -> None:
    """LiteLLM's `sk-1234` will do on one's own machine, with a warning, and never in public."""
    loaded = load(LITELLM_MASTER_KEY="sk-1234")

    assert [finding.sentence for finding in loaded.findings] == [
        "master_key is one that tutorials use; only this machine may be served with it."
    ]
    assert problems(LITELLM_MASTER_KEY="sk-1234", TAXIWAY_HOST="0.0.0.0") == (
        (
            "The master key is one that tutorials use, and anybody would guess it: choose another in"
            " general_settings.master_key or TAXIWAY_MASTER_KEY before serving 0.0.0.0."
        ),
    )


def test_two_ports_that_are_one(load: Load, problems: Problems) -> None:
    """The ports for requests and for metrics differ, unless both are any free one."""
    assert problems(TAXIWAY_METRICS_PORT="4000") == (
        "metrics_port and port are both 4000; they must differ.",
    )
    assert load(TAXIWAY_METRICS_PORT="0", TAXIWAY_PORT="0").settings.metrics_port == 0


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        pytest.param({}, [], id="a file has a folder beside it"),
        pytest.param(
            {"TAXIWAY_DATABASE_URL": "postgresql://h/d"},
            [
                "artifacts_url is not set: images stay with Runway, whose links expire after a day or two."
            ],
            id="postgresql",
        ),
        pytest.param(
            {"TAXIWAY_DATABASE_URL": "postgresql://h/d", "TAXIWAY_ARTIFACTS_URL": "s3://b/p"},
            [],
            id="postgresql and a bucket",
        ),
        pytest.param(
            {"TAXIWAY_DATABASE_URL": "postgresql://h/d", "TAXIWAY_ARTIFACTS_URL": "none"},
            [],
            id="nothing is kept on purpose",
        ),
    ],
)
def test_images_that_are_kept_nowhere(
    load: Load, variables: dict[str, str], said: list[str]
) -> None:
    """Without a place for images, and without a word about it, the start warns."""
    assert [finding.sentence for finding in load(**variables).findings] == said


@pytest.mark.parametrize(
    "url", ["images", "file://images", "file:///", "s3://", "http://bucket", "s3:bucket"]
)
def test_an_archive_that_is_none(problems: Problems, url: str) -> None:
    """An address that leads to no archive stops the start, and is not shown: it may hold a key."""
    assert problems(TAXIWAY_ARTIFACTS_URL=url) == (
        (
            "TAXIWAY_ARTIFACTS_URL must be file:///path, s3://bucket/prefix, gs://bucket/prefix,"
            " az://container/prefix or none."
        ),
    )
