"""The programs under test: the floor, Taxiway on each of its databases, and LiteLLM's proxy."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.bench.processes import Program, environment, free_port

#: Where `make bench-peers` puts LiteLLM: an environment of its own, so that it cannot disturb ours.
PEERS = Path(".venv-peers")

_LITELLM_CONFIG = """\
model_list:
  - model_name: gen4-image
    litellm_params:
      model: runwayml/gen4_image
      api_base: {upstream}
      api_key: any-key
litellm_settings:
  request_timeout: 600
general_settings:
  master_key: sk-bench
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One program under test. `database` is Taxiway's address of one."""

    name: str
    kind: str
    key: str
    """What it is called on the command line."""
    database: str | None = None
    keeps_images: bool = False
    """Whether Taxiway fetches and stores what was made: the floor does not."""

    @property
    def model(self) -> str:
        """The model that callers ask for."""
        return "gen4-image" if self.kind == "litellm" else "runwayml/gen4_image"

    @property
    def repeats(self) -> bool:
        """Whether its main wave is repeated: LiteLLM's takes a minute, and says the same each time."""
        return self.kind != "litellm"

    @property
    def boots(self) -> int:
        """How often it is started in each turn, beside the first time: LiteLLM's takes ten seconds."""
        return 5 if self.repeats else 2

    def starts(self, turn: int) -> bool:
        """Return whether its start is measured in a turn. The first, 0, only fills the disk's cache.

        A database that the bench makes once is new once, so that it is not wasted on turn 0.
        """
        return turn > 0 if self.database is not None else self.repeats or turn <= 1

    def new(self, turn: int) -> bool:
        """Return whether it finds nothing in a turn, and makes its database. LiteLLM makes none."""
        return self.repeats and (self.database is None or turn == 1)

    @property
    def grows(self) -> bool:
        """Whether it is measured with more and fewer callers, and with viewers."""
        return self.repeats and self.database is None and not self.keeps_images

    def program(self, *, upstream: str, folder: Path, poll_interval_s: float = 2.0) -> Program:
        """Return how it is started, on a free port, in a folder of its own."""
        port = free_port()
        if self.kind == "floor":
            return _floor(port, upstream, poll_interval_s)
        if self.kind == "litellm":
            return _litellm(port, upstream, folder)
        return _taxiway(self, port, upstream, folder, poll_interval_s)


FLOOR = Subject(name="floor", kind="floor", key="floor")
SQLITE = Subject(name="Taxiway, SQLite", kind="taxiway", key="sqlite")
KEEPING = Subject(
    name="Taxiway, SQLite, keeping images", kind="taxiway", key="keeping", keeps_images=True
)
LITELLM = Subject(name="LiteLLM", kind="litellm", key="litellm")


def postgres(database: str) -> Subject:
    """Return Taxiway on a PostgreSQL."""
    return Subject(name="Taxiway, PostgreSQL", kind="taxiway", key="postgres", database=database)


def litellm_python() -> Path | None:
    """Return the interpreter that has LiteLLM, where one was installed."""
    root = Path(os.environ.get("TAXIWAY_BENCH_PEERS", PEERS)).absolute()
    python = root / "bin" / "python"
    return python if (root / "bin" / "litellm").exists() else None


def _floor(port: int, upstream: str, poll_interval_s: float) -> Program:
    return Program(
        command=[
            *(sys.executable, "-P", str(Path(__file__).with_name("floor.py"))),
            *("--port", str(port), "--upstream", upstream, "--interval", str(poll_interval_s)),
        ],
        port=port,
        environ=environment(),
    )


def _taxiway(
    subject: Subject, port: int, upstream: str, folder: Path, poll_interval_s: float
) -> Program:
    kept = {} if subject.keeps_images else {"TAXIWAY_ARTIFACTS_URL": "none"}
    database = subject.database or f"sqlite+aiosqlite:///{folder / 'taxiway.db'}"
    return Program(
        command=[sys.executable, "-m", "taxiway", "serve", "--port", str(port)],
        port=port,
        environ=environment(
            RUNWAYML_API_SECRET="any-key",
            RUNWAYML_API_BASE=upstream,
            TAXIWAY_DATABASE_URL=database,
            TAXIWAY_POLL_INTERVAL_S=str(poll_interval_s),
            TAXIWAY_MAX_QUEUED_JOBS="20000",
            **kept,
        ),
    )


def _litellm(port: int, upstream: str, folder: Path) -> Program:
    python = litellm_python()
    if python is None:
        raise SystemExit("LiteLLM is not installed; `make bench-peers` does it.")
    config = folder / "litellm.yaml"
    config.write_text(_LITELLM_CONFIG.format(upstream=upstream))
    command = [
        *(str(python), "-P", str(Path(__file__).with_name("litellm_proxy.py"))),
        *("--config", str(config), "--host", "127.0.0.1", "--port", str(port)),
    ]
    environ = environment(
        RUNWAYML_API_BASE=upstream, LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_TELEMETRY="False"
    )
    return Program(command=command, port=port, health="/health/liveliness", environ=environ)
