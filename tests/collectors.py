"""A collector of traces for the tests: it takes OTLP over HTTP, and keeps what it got."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from taxiway.server.running import listening


@dataclass(kw_only=True)
class Collector:
    """What listens at `url`, and the bodies that came."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)

    @property
    def spans(self) -> list[Any]:
        """Every span that arrived, the oldest first."""
        spans = [
            span
            for body in self.bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        return sorted(spans, key=lambda span: int(span.start_time_unix_nano))

    async def take(self, request: web.Request) -> web.Response:
        """Take a request of an exporter."""
        self.bodies.append(await request.read())
        return web.Response(content_type="application/x-protobuf")


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """Collect while the context lasts."""
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    async with listening(app, host="127.0.0.1", port=0) as collector.url:
        yield collector
