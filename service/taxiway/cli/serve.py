"""`taxiway serve`: the service itself."""

from typing import TYPE_CHECKING, Annotated

import typer

from taxiway.cli.options import Config, Database

if TYPE_CHECKING:
    from collections.abc import Callable

    from taxiway.config.loaded import Loaded
    from taxiway.settings import Settings


def serve(
    config: Config = None,
    host: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Where it listens.", show_default="127.0.0.1"),
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="N", help="0: a free one.", show_default="4000")
    ] = None,
    database: Database = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="A second port for /metrics and the probes; else on the first."
        ),
    ] = None,
) -> None:
    """Run the service until Ctrl-C or SIGTERM."""
    from functools import partial

    from taxiway.cli.garbage import rarely_collecting

    with rarely_collecting() as all_loaded:
        from taxiway.cli.loading import load

        read = partial(
            load, config, host=host, port=port, database_url=database, metrics_port=metrics_port
        )
        _serve(read, all_loaded)


def _serve(read: "Callable[[], Loaded]", all_loaded: "Callable[[], None]") -> None:
    import sys
    from importlib.metadata import version

    from taxiway.cli.garbage import make_room
    from taxiway.cli.lean import without
    from taxiway.cli.listening import listening
    from taxiway.cli.loops import run_fast
    from taxiway.cli.source import ConfigSource

    # structlog would load it for tracebacks in colour, which the log does not have.
    with without("rich"):
        from taxiway.logs import Logs
    from taxiway.server import running

    loaded = read()
    make_room()
    settings = loaded.settings

    def ready(url: str) -> None:
        all_loaded()
        if sys.stdout.isatty():
            _announce(url, settings)

    with Logs(settings, stream=sys.stdout.buffer, version=version("taxiway")) as logs:

        def warn(sentence: str) -> None:
            logs.note("config.warned", message=sentence)

        for finding in loaded.findings:
            warn(finding.sentence)
        source = ConfigSource(loaded, read=read, warn=warn)
        with (
            logs.capture_stdlib(),
            listening(settings.host, settings.port, metrics_port=settings.metrics_port),
        ):
            run_fast(running.serve(settings, logs=logs, ready=ready, source=source))


def _announce(url: str, settings: "Settings") -> None:
    from taxiway.cli.consoles import out
    from taxiway.cli.paragraphs import print_paragraph

    names = list(dict.fromkeys(each.model_name for each in settings.deployments))
    shown = ", ".join(names[:4])
    print_paragraph(
        out(),
        "Taxiway",
        remark=f"is up at {url}",
        facts={
            "models": f"{len(names)}: {shown}{', …' if len(names) > 4 else ''}",
            "jobs": f"kept in {_store(settings.database_url)}",
            "key": "the master key" if settings.master_key else "none; only this machine is served",
            "console": f"{url}/ in a browser",
            "try": f'taxiway generate "a red fox in the snow" --url {url}',
        },
    )


def _store(url: str) -> str:
    """Return where jobs are kept, without what may be a password."""
    kind, _, path = url.partition(":///")
    return path if kind.startswith("sqlite") else url.partition(":")[0]
