"""Configurations by their text."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.config.loading import KEY, Load, Problems

from taxiway.config import Loaded, load_settings
from taxiway.errors import ConfigError
from taxiway.settings import Deployment


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return where a test writes its configuration."""
    return tmp_path / "config.yaml"


@pytest.fixture
def load(file: Path) -> Load:
    """Return a function that loads the text of a configuration, with a key for Runway at hand."""

    def load_text(text: str, **environ: str) -> Loaded:
        file.write_text(text, encoding="utf-8")
        return load_settings(path=file, environ=KEY | environ)

    return load_text


@pytest.fixture
def entry(load: Load) -> Callable[..., Deployment]:
    """Return a function that gives the one deployment of an entry's `litellm_params`."""

    def deployment_of(params: str, *, model: str = "gen4_image") -> Deployment:
        loaded = load(
            f"model_list: [{{model_name: image, litellm_params: {{model: runwayml/{model}, {params}}}}}]"
        )
        (deployment,) = loaded.settings.deployments
        return deployment

    return deployment_of


@pytest.fixture
def problems(load: Load, file: Path) -> Problems:
    """Return a function that gives the sentences with which a configuration is refused."""

    def problems_of(text: str, **environ: str) -> tuple[str, ...]:
        with pytest.raises(ConfigError) as caught:
            load(text, **environ)
        assert caught.value.message == caught.value.problems[0]
        return tuple(each.replace(str(file), "config.yaml") for each in caught.value.problems)

    return problems_of
