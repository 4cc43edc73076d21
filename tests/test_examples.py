"""The example configurations under `deploy/examples/configs`: each starts, and `taxiway check` explains it."""

import io
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from rich.console import Console

from taxiway.cli import consoles
from taxiway.cli.check import check
from taxiway.config import load_settings
from taxiway.server import create_app
from taxiway.server.running import listening

EXAMPLES = Path(__file__).parents[1] / "deploy" / "examples" / "configs"

ENVIRON = {
    "RUNWAYML_API_SECRET": "key_of_the_account",
    "RUNWAY_A": "key_a",
    "RUNWAY_B": "key_b",
    "RUNWAY_C": "key_c",
    "OPENAI_API_KEY": "sk-of-openai",
    "GATEWAY_KEY": "sk-of-the-gateway",
    "LITELLM_MASTER_KEY": "sk-long-enough-to-be-one",
    "DATABASE_URL": "postgresql://user:password@database/taxiway",
}

#: What needs the master key and the database of its own.
OF_ITS_OWN = {"LITELLM_MASTER_KEY", "DATABASE_URL"}

#: file → the names it serves, and what `taxiway check` says of it in essence
CHECKED: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "01-one-account.yaml": (
        ("image",),
        ("runwayml/gen4_image", "$0.05 to $0.08", "without a key, this machine only", "is fine."),
    ),
    "02-load-balancing.yaml": (
        ("image",),
        (
            *("account-a", "17%", "2 at once, 10 a minute"),
            *("account-b", "33%", "5 at once", "account-c", "50%", "8 at once"),
            "Of several deployments, simple-shuffle takes by chance and weight.",
        ),
    ),
    "03-a-spare.yaml": (
        ("image",),
        (
            *("main", "order 1", "spare", "order 2"),
            "A deployment rests for 60 s after more than 2 failures in a minute.",
            "A task that failed and cost nothing is tried again once.",
        ),
    ),
    "04-fallbacks.yaml": (
        ("best", "good", "fast", "lenient"),
        (
            "best falls back to good, then fast.",
            "Every name falls back to good in the end.",
            "best, where moderation refuses, falls back to lenient.",
        ),
    ),
    "05-every-model.yaml": (
        ("runwayml/gen4_image", "runwayml/gpt_image_2", "image"),
        ("runwayml/gen4_image (image)", "runwayml/gpt_image_2 (gpt-image-1)", "unknown"),
    ),
    "06-two-vendors.yaml": (
        ("image", "elsewhere"),
        (
            *("openai/gpt-image-1", "$0.042", "https://api.openai.com/v1"),
            *("openai/image", "unknown", "https://images.example.com/v1"),
            "image falls back to elsewhere.",
            "model_list[2].litellm_params.output_cost_per_image is not set",
            "is fine, with 1 warning.",
        ),
    ),
    "07-tags.yaml": (
        ("image",),
        (
            *("tags film", "tags press", "tags default"),
            "Tags choose among deployments: any of a request's tags must match.",
        ),
    ),
    "08-accounts.yaml": (
        ("image", "image-draft"),
        ("120 s", "http://127.0.0.1:9000", "https://api.dev.runwayml.com"),
    ),
    "09-by-cost.yaml": (
        ("image",),
        (
            *("$0.02", "$0.06", "blocked"),
            "Of several deployments, cost-based-routing takes the one where the request costs least.",
            "3 for failed tasks, 5 for rate-limited.",
            "more than 3 failures in a minute, 10 for failed tasks.",
        ),
    ),
    "10-moving-over.yaml": (
        ("image",),
        (
            *("75%", "25%", "keeps jobs in postgresql", "with a master key"),
            "At most 200 jobs are under way at once in each process; more wait.",
            "router_settings.routing_strategy is usage-based-routing-v2, which is about tokens",
            "litellm_settings.success_callback has no effect",
            "litellm_settings.cache has no effect",
            "router_settings.redis_host has no effect",
            "general_settings.health_check_interval has no effect",
            "model_list[2] is skipped: nothing says that 'gpt-5' makes images",
            "is fine, with 6 warnings.",
        ),
    ),
}


def environ(name: str) -> dict[str, str]:
    """The variables that a file is read with."""
    own = set() if name == "10-moving-over.yaml" else OF_ITS_OWN
    return {key: value for key, value in ENVIRON.items() if key not in own}


def test_every_example_is_here() -> None:
    """The table above names every file that is not a part of another one."""
    found = {path.name for path in EXAMPLES.glob("*.yaml") if not path.stem.endswith(".models")}

    assert set(CHECKED) == found


@pytest.mark.parametrize("name", CHECKED)
def test_the_check_explains_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, deployments, strategies, limits, prices and warnings are said, and no secret is."""
    for variable in (*os.environ,):
        if variable.startswith(("RUNWAY", "OPENAI", "LITELLM", "DATABASE", "TAXIWAY", "GATEWAY")):
            monkeypatch.delenv(variable)
    for variable, value in environ(name).items():
        monkeypatch.setenv(variable, value)
    written = io.StringIO()
    console = Console(file=written, width=200)
    monkeypatch.setattr(consoles, "out", lambda: console)
    names, essence = CHECKED[name]
    check(EXAMPLES / name)
    said = written.getvalue()

    assert [] == [each for each in (*names, *essence) if each not in said]
    assert [] == [value for value in ENVIRON.values() if value in said]


@pytest.mark.looptime(False)
@pytest.mark.parametrize("name", CHECKED)
async def test_it_starts(name: str) -> None:
    """The service starts with it and offers its names."""
    loaded = load_settings(path=EXAMPLES / name, environ=environ(name))
    settings = replace(
        loaded.settings, database_url="memory://", artifacts_url="none", log_level="error"
    )
    key = settings.master_key
    headers = {} if key is None else {"Authorization": f"Bearer {key.reveal()}"}
    async with (
        listening(create_app(settings), host="127.0.0.1", port=0) as url,
        aiohttp.ClientSession(url, headers=headers) as client,
        client.get("/v1/models") as response,
    ):
        document = await response.json()

    assert set(CHECKED[name][0]) <= {model["id"] for model in document["data"]}


def test_the_check_tells_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--json` prints the same as a document, and no secret either."""
    for variable, value in environ("02-load-balancing.yaml").items():
        monkeypatch.setenv(variable, value)
    check(EXAMPLES / "02-load-balancing.yaml", json=True)
    said = capsys.readouterr().out
    document = json.loads(said)

    assert "configuration" == document["object"]
    assert ["account-a", "account-b", "account-c"] == [
        row["deployment"] for row in document["rows"]
    ]
    assert [] == [value for value in ENVIRON.values() if value in said]
