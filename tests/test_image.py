"""The Dockerfile and compose.yaml. `deploy/tests/image` builds the image and runs it."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import yaml

from taxiway.config import load_settings

DEPLOY = Path(__file__).parents[1] / "deploy"

policies = runpy.run_path(str(DEPLOY / "tests" / "policies.py"))


def test_the_dockerfile_is_clean() -> None:
    """Hadolint has nothing to say, and what runs is a numeric user's program, started without a shell."""
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), DEPLOY / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()

    assert (0, "") == (done.returncode, done.stdout)
    assert ["USER 10001:10001"] == [line for line in lines if line.startswith("USER ")]
    assert 'ENTRYPOINT ["/app/bin/taxiway"]' in lines
    assert 2 == lines.count("FROM ${BASE_IMAGE}") + lines.count("FROM ${BASE_IMAGE} AS build")


def test_the_image_is_made_of_what_it_needs() -> None:
    """The ignore file lets in exactly what the Dockerfile copies."""
    ignore = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    let_in = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    copies = re.findall(r"^COPY (?!--)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)

    assert "*" in ignore
    assert let_in == {name for each in copies for name in each.split()}


def test_compose_tells_the_service_what_it_understands() -> None:
    """The service of compose.yaml starts without a warning, and opens ports to this machine only."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    given = services["taxiway"]["environment"]
    environ = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", text) for name, text in given.items()}
    loaded = load_settings(path=None, environ={**environ, "TAXIWAY_MASTER_KEY": "of-the-tests"})
    published = [port for each in services.values() for port in each.get("ports", ())]
    grace = services["taxiway"]["stop_grace_period"]

    # Where images are kept is the operator's choice; the warning says that nothing was chosen.
    assert {"artifacts_url"} >= {finding.key for finding in loaded.findings}
    assert given["TAXIWAY_MASTER_KEY"].startswith("${TAXIWAY_MASTER_KEY:?")
    assert all(port.startswith("127.0.0.1:") for port in published), published
    assert (
        float(grace.removesuffix("s"))
        >= loaded.settings.shutdown_budget_s + policies["LETTING_GO_S"]
    )


def test_prometheus_asks_where_the_service_answers() -> None:
    """The scrape of compose.yaml goes to the service's second port, under the name that rules ask for."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    [scrape] = yaml.safe_load((DEPLOY / "compose" / "prometheus.yaml").read_text())[
        "scrape_configs"
    ]

    assert "taxiway" == scrape["job_name"]
    assert [{"names": ["taxiway"], "type": "A", "port": 9090}] == scrape["dns_sd_configs"]
    assert "9090" == services["taxiway"]["environment"]["TAXIWAY_METRICS_PORT"]


def test_compose_mounts_what_is_there() -> None:
    """Every file and folder that compose.yaml mounts is in the repository."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    mounts = [mount for each in services.values() for mount in each.get("volumes", ())]
    sources = [mount.partition(":")[0] for mount in mounts if mount.startswith(".")]

    assert [] == [source for source in sources if not (DEPLOY / source).exists()]
