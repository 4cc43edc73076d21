"""The provider in a configuration, and from Python."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.openai_provider.vendor import BASE64, KEY, Vendor, error

from taxiway import aimage_generation
from taxiway.config import describe, load_settings
from taxiway.errors import BadGatewayError, ConfigError
from taxiway.settings import Secret


@pytest.mark.looptime(False)
class TestInConfiguration:
    """What an entry of a `config.yaml` may say."""

    @pytest.fixture
    def load(self, tmp_path: Path) -> Callable[..., Any]:
        """Return a function that loads one entry."""

        def load_entry(params: str, info: str = "", **environ: str) -> Any:
            path = tmp_path / "config.yaml"
            path.write_text(
                f"model_list: [{{model_name: image, litellm_params: {{{params}}}, model_info: {{{info}}}}}]"
            )
            return load_settings(path=path, environ=environ)

        return load_entry

    def test_openai_itself(self, load: Callable[..., Any]) -> None:
        """OpenAI's own models need a key and nothing else, and never meet Runway's."""
        keys = {"OPENAI_API_KEY": "sk-o", "RUNWAYML_API_SECRET": "key_r"}
        loaded = load("model: openai/gpt-image-1, output_cost_per_image: 0.04", **keys)
        (deployment,) = loaded.settings.deployments

        assert (
            "openai",
            "gpt-image-1",
            Secret("sk-o"),
            "https://api.openai.com/v1",
            40_000,
            (),
        ) == (
            deployment.provider,
            deployment.model,
            deployment.api_key,
            deployment.api_base,
            deployment.price_microusd,
            loaded.findings,
        )

    def test_a_name_without_a_prefix(self, load: Callable[..., Any]) -> None:
        """LiteLLM knows OpenAI's models by their names alone."""
        loaded = load("model: dall-e-3, size: 1024x1024, style: natural", OPENAI_API_KEY="sk-o")

        assert ("openai", {"size": "1024x1024", "style": "natural"}) == (
            loaded.settings.deployments[0].provider,
            loaded.settings.deployments[0].defaults,
        )

    def test_a_name_of_runways_at_another_gateway(self, load: Callable[..., Any]) -> None:
        """What the catalogue knows of a model holds for Runway's: another gateway may ask another price."""
        params = "model: openai/gen4_image, api_key: k, api_base: 'http://10.0.0.1:4000/v1'"
        (row,) = describe(load(params, "mode: image_generation")).rows

        assert (None, "unknown") == (row.sizes, row.price)

    def test_variables_of_nobodys_business(self, load: Callable[..., Any]) -> None:
        """Other programs have OpenAI's variables too: without a deployment there, they are not looked at."""
        wrong = {"OPENAI_BASE_URL": "nowhere", "OPENAI_API_KEY": "two words"}
        load("model: runwayml/gen4_image, api_key: k", **wrong)

        with pytest.raises(ConfigError) as caught:
            load("model: dall-e-3, api_key: k", **wrong)
        assert 2 == len(caught.value.problems)

    def test_an_unknown_price_is_said(self, load: Callable[..., Any]) -> None:
        """Without a price the start warns."""
        loaded = load("model: openai/dall-e-2, api_key: sk-o")

        assert [
            (
                "model_list[0].litellm_params.output_cost_per_image is not set: unless the answers say what"
                " they cost, nobody knows it, and jobs say so."
            )
        ] == [finding.sentence for finding in loaded.findings]

    def test_another_gateway(self, load: Callable[..., Any]) -> None:
        """An address is taken as it is; a model that nobody knows needs `mode: image_generation`."""
        params = "model: openai/flux, api_key: k, api_base: 'http://10.0.0.1:4000/v1/'"
        loaded = load(params, "mode: image_generation")

        assert "http://10.0.0.1:4000/v1" == loaded.settings.deployments[0].api_base
        with pytest.raises(ConfigError, match="nothing says that 'flux' makes images"):
            load(params)

    @pytest.mark.parametrize(
        ("params", "sentence"),
        [
            pytest.param(
                "model: openai/dall-e-3",
                "model_list[0].litellm_params.api_key is missing, and the variable OPENAI_API_KEY is not set.",
                id="no key",
            ),
            pytest.param(
                "model: openai/dall-e-3, api_key: k, style: bold",
                "model_list[0].litellm_params.style must be vivid or natural, not 'bold'.",
                id="a wrong value",
            ),
            pytest.param(
                "model: openai/dall-e-3, api_key: k, ratio: '16:9'",
                "model_list[0].litellm_params.ratio is not a known key",
                id="Runway's field",
            ),
            pytest.param(
                "model: 'openai/gpt-image-*', api_key: k",
                "model_list[0] has a *, and nobody here knows which models openai has: name each.",
                id="a pattern",
            ),
        ],
    )
    def test_what_is_refused(self, load: Callable[..., Any], params: str, sentence: str) -> None:
        """A wrong entry is named with what is accepted; one vendor's key does not do for another."""
        with pytest.raises(ConfigError) as caught:
            load(params, RUNWAYML_API_SECRET="key_r")

        assert caught.value.message.startswith(sentence)


async def test_from_python(vendor: Vendor) -> None:
    """`image_generation` speaks to the same vendors, and hands the bytes over."""
    response = await aimage_generation(
        "A red fox", "openai/flux", api_key=KEY, api_base=f"{vendor.url}/v1"
    )

    assert BASE64 == response.data[0].b64_json


async def test_an_error_from_python_names_its_vendor(vendor: Vendor) -> None:
    """LiteLLM's `llm_provider` says who refused."""
    vendor.answers = [error(401)]
    with pytest.raises(BadGatewayError) as caught:
        await aimage_generation(
            "A red fox", "openai/flux", api_key=KEY, api_base=f"{vendor.url}/v1"
        )

    assert ("openai", "provider_auth_failed") == (caught.value.llm_provider, caught.value.code)
