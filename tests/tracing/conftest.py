"""Tracing into memory."""

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.tracing.spans import DEPLOYMENTS

from taxiway.tracing.spans import Tracing


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Where the spans go."""
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> Tracing:
    """What makes spans of ended jobs."""
    return Tracing(SimpleSpanProcessor(exporter), deployment=DEPLOYMENTS.get, version="1.2.3")
