"""Traces, for those who want them: off until OpenTelemetry's own variables name a collector.

The library comes with the extra `taxiway[otel]`, and is loaded by `open_tracing` alone, once it is asked for.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from taxiway.errors import ConfigError
from taxiway.settings import Deployment

if TYPE_CHECKING:
    from taxiway.tracing.spans import Tracing

#: Either of them turns tracing on; the second is for a collector that takes nothing but traces.
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

#: Variable → what it may say here. Whatever else OpenTelemetry knows, its library reads by itself.
_ACCEPTED: Mapping[str, tuple[str, ...]] = {
    "OTEL_TRACES_EXPORTER": ("otlp", "none"),
    "OTEL_EXPORTER_OTLP_PROTOCOL": ("http/protobuf",),
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": ("http/protobuf",),
}


def open_tracing(
    environ: Mapping[str, str],
    *,
    deployment: Callable[[str], Deployment | None],
    version: str,
) -> "Tracing | None":
    """Return what turns ended jobs into spans, or None unless the environment names a collector.

    `deployment` finds a deployment by its id, for the address its tasks run at.
    Raises `ConfigError` for a variable that asks for something else than OTLP over HTTP, and without the extra.
    """
    if not _wanted(environ):
        return None
    for name, accepted in _ACCEPTED.items():
        if environ.get(name, accepted[0]) not in accepted:
            raise ConfigError(
                f"{name} is {environ[name]!r}; Taxiway takes {' or '.join(accepted)}."
            )
    try:
        from taxiway.tracing.spans import Tracing
    except ImportError as error:
        raise ConfigError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but the extra is not installed: "
            "pip install 'taxiway[otel]'."
        ) from error
    return Tracing.over_http(deployment=deployment, version=version)


def _wanted(environ: Mapping[str, str]) -> bool:
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if environ.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return any(environ.get(name) for name in _ENDPOINTS)
