"""Nothing of tracing is there unless it is asked for."""

import subprocess
import sys
from collections.abc import Mapping

import pytest
from tests.tracing.spans import DEPLOYMENTS

from taxiway.errors import ConfigError
from taxiway.tracing import open_tracing


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="nothing said"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, id="an empty address"),
        pytest.param(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}, id="disabled"
        ),
        pytest.param(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"},
            id="metrics and logs only",
        ),
    ],
)
def test_it_is_off_unless_asked_for(environ: Mapping[str, str]) -> None:
    """Without a collector's address, or with a word against it, there are no traces."""
    assert open_tracing(environ, deployment=DEPLOYMENTS.get, version="1") is None


@pytest.mark.parametrize(
    ("variable", "value", "accepted"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "otlp or none"),
    ],
)
def test_what_it_cannot_do_stops_the_start(variable: str, value: str, accepted: str) -> None:
    """A variable that asks for another protocol is refused by name, not ignored."""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", variable: value}
    with pytest.raises(ConfigError, match=f"{variable} is '{value}'; Taxiway takes {accepted}"):
        open_tracing(environ, deployment=DEPLOYMENTS.get, version="1")


WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ImportError(f"No module named {name!r}")

sys.meta_path.insert(0, Absent())
"""


def in_a_process(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script where the extra is not installed."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_service_runs_without_the_extra() -> None:
    """Every module but the one that makes spans can be imported, and the service be made, without it."""
    done = in_a_process(
        "import taxiway.api, taxiway.cli, taxiway.server.running\n"
        "from taxiway.settings import Settings\n"
        "from taxiway.server import create_app\n"
        "from taxiway.tracing import open_tracing\n"
        "create_app(Settings())\n"
        "assert open_tracing({}, deployment={}.get, version='1') is None\n"
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_asking_for_it_without_the_extra_says_what_to_install() -> None:
    """With a collector's address and no extra the start stops with one sentence."""
    done = in_a_process(
        "from taxiway.errors import ConfigError\n"
        "from taxiway.tracing import open_tracing\n"
        "try:\n"
        "    open_tracing({'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://x'}, deployment={}.get, version='1')\n"
        "except ConfigError as error:\n"
        "    print(error)\n"
    )

    assert done.stderr == ""
    assert done.stdout == (
        "OTEL_EXPORTER_OTLP_ENDPOINT is set, but the extra is not installed: "
        "pip install 'taxiway[otel]'.\n"
    )


def test_an_installed_extra_is_not_loaded_unasked() -> None:
    """Where the extra is installed and nobody asks for traces, nothing of it is imported."""
    script = (
        "import sys, taxiway.server.running\n"
        "from taxiway.tracing import open_tracing\n"
        "open_tracing({}, deployment={}.get, version='1')\n"
        "assert not any(name.startswith('opentelemetry') for name in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
