"""A sandbox and the real service in this process, on free ports, with all they keep in one fresh folder."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp

from taxiway.config import load_settings
from taxiway.logs import Logs
from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.server import create_app
from taxiway.server.running import listening

#: Runway advises less; a sandbox on the same machine does not mind, and the bar moves as often.
POLL_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What is running."""

    service_url: str
    sandbox_url: str
    folder: Path
    """The database and the log; it stays when the stage is gone."""
    log: Path


@asynccontextmanager
async def stage(*, duration_s: float) -> AsyncIterator[Stage]:
    """Run both while the context lasts. The user's own configuration and keys have no part in it."""
    folder = Path(mkdtemp(prefix="taxiway-demo-"))
    log = folder / "service.log"
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(SandboxSettings(duration_s=duration_s)))
        settings = load_settings(
            path=None,
            environ={"RUNWAYML_API_SECRET": "any-key", "RUNWAYML_API_BASE": sandbox.url},
            overrides={
                "database_url": f"sqlite+aiosqlite:///{folder / 'taxiway.db'}",
                "port": 0,
                "poll_interval_s": POLL_INTERVAL_S,
            },
        ).settings
        stream = stack.enter_context(log.open("ab"))
        logs = stack.enter_context(Logs(settings, stream=stream, version=version("taxiway")))
        stack.enter_context(logs.capture_stdlib())
        app = create_app(settings, logs=logs)
        url = await stack.enter_async_context(
            listening(app, host=settings.host, port=settings.port)
        )
        yield Stage(service_url=url, sandbox_url=sandbox.url, folder=folder, log=log)
