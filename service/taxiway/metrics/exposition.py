"""The numbers as text, made away from the event loop."""

import asyncio
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

#: Scrapers come every 15 s or more; whoever comes more often gets the same text again.
CACHE_S = 1.0


class Exposition:
    """Renders one registry, one scrape at a time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._collector = _WithoutCreated(registry)
        self._one_at_a_time = asyncio.Lock()
        self._cached: tuple[str | None, float, tuple[bytes, str]] | None = None

    def render(self, accept: str | None) -> tuple[bytes, str]:
        """Return the body and its content type, in the format an `Accept` header asks for."""
        try:
            encode, content_type = choose_encoder(accept or "")
        except (TypeError, ValueError):  # a version that is no number
            encode, content_type = choose_encoder("")
        return encode(self._collector), content_type

    async def scrape(self, accept: str | None) -> tuple[bytes, str]:
        """Return `render(accept)`, made in a thread: a thousand series are some 10 ms of work."""
        async with self._one_at_a_time:
            now_s = asyncio.get_running_loop().time()
            if self._cached is not None:
                asked, made_s, answer = self._cached
                if asked == accept and now_s - made_s < CACHE_S:
                    return answer
            answer = await asyncio.to_thread(self.render, accept)
            self._cached = (accept, now_s, answer)
            return answer


class _WithoutCreated(Collector):
    """A registry without the `_created` series, which double every counter and tell nobody anything.

    The library's own switch is global to the process, and there the setting belongs to whoever embeds us.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [s for s in metric.samples if not s.name.endswith("_created")]
            yield metric
