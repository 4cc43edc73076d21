"""One try to tell one receiver: a signed POST, and what its answer means."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from types import TracebackType
from typing import Self

from aiohttp import ClientConnectorError, ClientError, ClientSession
from aiohttp.abc import AbstractResolver
from yarl import URL

from taxiway.deliveries import Delivery, Outcome, Try
from taxiway.server.webhooks.guard import ForbiddenAddressError, Guard

#: "I do not want to hear of this any more."
GONE = 410


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a try went, and whether another one may go better."""

    last: Try
    hopeless: bool = False


class Sender:
    """Sends. An asynchronous context manager. `resolver` finds addresses by names; by default the machine's."""

    def __init__(
        self,
        guard: Guard,
        *,
        now: Callable[[], float],
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._guard = guard
        self._now = now
        self._resolver = resolver
        self._stack = AsyncExitStack()
        self._sessions: dict[str, ClientSession] = {}

    async def __aenter__(self) -> Self:
        # Nothing leaves the known networks in the clear.
        for scheme, public in (("https", True), ("http", False)):
            session = self._guard.session(public=public, resolver=self._resolver)
            self._sessions[scheme] = await self._stack.enter_async_context(session)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def send(self, delivery: Delivery, body: bytes, *, secrets: Sequence[str]) -> Result:
        """Tell the delivery's endpoint, and return how that went. Raises nothing that the receiver could cause."""
        at, loop = self._now(), asyncio.get_running_loop()
        began_s = loop.time()
        code: int | None = None
        try:
            code = await self._post(delivery, body, headers=_headers(delivery, body, at, secrets))
            outcome = Outcome.DELIVERED if 200 <= code < 300 else Outcome.HTTP_ERROR
        except TimeoutError:
            outcome = Outcome.TIMEOUT
        except ClientConnectorError as error:
            forbidden = isinstance(error.os_error, ForbiddenAddressError)
            outcome = Outcome.FORBIDDEN if forbidden else Outcome.UNREACHABLE
        except (ClientError, OSError, ValueError):
            outcome = Outcome.UNREACHABLE
        return Result(
            last=Try(at=at, outcome=outcome, code=code, duration_s=loop.time() - began_s),
            hopeless=outcome is Outcome.FORBIDDEN or code == GONE,
        )

    async def _post(self, delivery: Delivery, body: bytes, *, headers: dict[str, str]) -> int:
        url = URL(delivery.endpoint.url)
        async with self._sessions[url.scheme].post(
            url, data=body, headers=headers, allow_redirects=False
        ) as response:
            # Its words are nobody's business here, however long they are.
            return response.status


def _headers(delivery: Delivery, body: bytes, at: float, secrets: Sequence[str]) -> dict[str, str]:
    # Only where a receiver is told is the library worth its import.
    from standardwebhooks import Webhook

    moment = datetime.fromtimestamp(at, UTC)
    text = body.decode()
    return {
        "Content-Type": "application/json",
        "User-Agent": f"taxiway/{version('taxiway')}",
        "webhook-id": delivery.webhook_id,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": " ".join(
            Webhook(secret).sign(delivery.webhook_id, moment, text) for secret in secrets
        ),
    }
