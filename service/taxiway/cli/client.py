"""A small client of the service's HTTP interface: ask, look, list, stop, fetch.

The key goes to the service alone, request by request: an image may lie with another host, which must not see it.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, cast

import aiohttp
import orjson

from taxiway.cli.documents import (
    JobDocument,
    KeyDocument,
    NewKeyDocument,
    Picture,
    UsageDocument,
)
from taxiway.errors import TaxiwayError

#: The longest wait for an answer that is not a stream: every other route answers at once.
ANSWER_TIMEOUT_S = 60.0

#: A host that takes no connection for this long is not there.
CONNECT_TIMEOUT_S = 10.0

#: The longest page of jobs that the service gives out.
PAGE = 100

#: The service breaks its silence every 15 s: after three missed beats the line is dead.
STREAM_SILENCE_S = 45.0

#: What a line that broke, or was never there, raises.
LineError = (aiohttp.ClientError, TimeoutError)

#: The part of it after which nothing can have arrived.
_NEVER_REACHED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)

_ANSWER = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
_STREAM = aiohttp.ClientTimeout(
    total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=STREAM_SILENCE_S
)


class Client:
    """One service, seen from outside. An asynchronous context manager. Raises `TaxiwayError`s only."""

    def __init__(self, url: str, *, key: str | None = None) -> None:
        self.url = url
        """The base of every address, without a trailing slash and without `/v1`."""
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, request: Mapping[str, object]) -> JobDocument:
        """Ask for images and return the job that was accepted, before anything is made."""
        headers = {"Prefer": "respond-async"}
        return self._job(
            await self._json("POST", "/v1/images/generations", body=request, headers=headers)
        )

    async def job(self, job_id: str) -> JobDocument:
        """Return a job as it stands."""
        return self._job(await self._json("GET", f"/v1/jobs/{job_id}"))

    async def cancel(self, job_id: str) -> JobDocument:
        """Ask a job to stop and return it as it stands."""
        return self._job(await self._json("POST", f"/v1/jobs/{job_id}/cancel"))

    async def jobs(self, query: Mapping[str, str]) -> list[JobDocument]:
        """Return the jobs that match, newest first."""
        document = await self._json("GET", "/v1/jobs", query=query)
        found = document.get("data") if isinstance(document, dict) else None
        if not isinstance(found, list):
            raise self._stranger()
        return [self._job(each) for each in found]

    async def every_job(self, query: Mapping[str, str]) -> list[JobDocument]:
        """Return all jobs that match, newest first, page by page."""
        page = await self.jobs({**query, "limit": str(PAGE)})
        found = page
        while len(page) == PAGE:
            page = await self.jobs({**query, "limit": str(PAGE), "after": page[-1]["id"]})
            found = found + page
        return found

    async def usage(self, query: Mapping[str, str]) -> UsageDocument:
        """Return what was spent, told apart as the query says."""
        document = await self._json("GET", "/v1/usage", query=query)
        if isinstance(document, dict) and document.get("object") == "usage":
            return cast("UsageDocument", document)
        raise self._stranger()

    async def make_key(self, fields: Mapping[str, object]) -> NewKeyDocument:
        """Make a virtual key."""
        document = await self._json("POST", "/key/generate", body=fields)
        if isinstance(document, dict) and "token" in document:
            return cast("NewKeyDocument", document)
        raise self._stranger()

    async def keys(self, query: Mapping[str, str]) -> list[KeyDocument]:
        """Return all virtual keys that match, newest first, page by page."""
        found: list[KeyDocument] = []
        pages, page = 1, 1
        while page <= pages:
            asked = {**query, "return_full_object": "true", "size": str(PAGE), "page": str(page)}
            document = await self._json("GET", "/key/list", query=asked)
            if not isinstance(document, dict) or "total_pages" not in document:
                raise self._stranger()
            found += document["keys"]
            pages, page = document["total_pages"], page + 1
        return found

    async def key_info(self, key: str) -> KeyDocument | None:
        """Return a virtual key by itself or by its id; None where there is none."""
        try:
            document = await self._json("GET", "/key/info", query={"key": key})
        except TaxiwayError as error:
            if error.code == "key_not_found":
                return None
            raise
        return cast("KeyDocument", document["info"])

    async def delete_key(self, token: str) -> None:
        """Delete a virtual key."""
        await self._json("POST", "/key/delete", body={"keys": [token]})

    @asynccontextmanager
    async def events(
        self, job_id: str, *, last_id: str | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a job's event stream, or what is answered in its place; raises `LineError` besides."""
        headers = {**self._headers, "Accept": "text/event-stream"}
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        url = f"{self.url}/v1/jobs/{job_id}/events"
        async with self._open.get(url, headers=headers, timeout=_STREAM) as response:
            yield response

    async def image(self, job: JobDocument, picture: Picture) -> bytes:
        """Return an image's bytes from its address, or through the service once the address has expired."""
        own = f"{self.url}/v1/jobs/{job['id']}/images/{picture['index']}"
        for url in (picture["url"], own):
            found = await self._bytes(url)
            if found is not None:
                return found
        raise TaxiwayError(f"Image {picture['index']} of {job['id']} cannot be fetched any more.")

    async def _bytes(self, url: str) -> bytes | None:
        headers = self._headers if url.startswith(f"{self.url}/") else {}
        try:
            async with self._open.get(url, headers=headers, timeout=_ANSWER) as response:
                return await response.read() if response.status == 200 else None
        except LineError:
            return None

    async def _json(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        try:
            async with self._open.request(
                method,
                self.url + path,
                json=body,
                params=query,
                headers={**self._headers, **(headers or {})},
                timeout=_ANSWER,
            ) as response:
                content = await response.read()
        except LineError as error:
            raise self.unreachable(error) from error
        if response.status >= 400:
            raise refusal(response.status, content, url=self.url)
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            raise self._stranger() from None

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("The client is used outside of its context.")
        return self._session

    def _job(self, document: object) -> JobDocument:
        if isinstance(document, dict) and document.get("object") == "image.generation.job":
            return cast("JobDocument", document)
        raise self._stranger()

    def unreachable(self, error: Exception) -> TaxiwayError:
        """Return the sentence for a service that cannot be reached, or that broke off."""
        if isinstance(error, _NEVER_REACHED):
            sentence = "does not answer: start it with `taxiway serve`, or name another with --url."
        else:
            # It may have understood all the same, and a request that was taken will be paid for.
            sentence = "broke off before it had answered; `taxiway jobs` shows what it has taken."
        return TaxiwayError(f"{self.url} {sentence}", code="service_unreachable")

    def _stranger(self) -> TaxiwayError:
        return TaxiwayError(f"What answers at {self.url} is not Taxiway.", code="not_taxiway")


def refusal(status: int, content: bytes, *, url: str) -> TaxiwayError:
    """Return what an error answer says as an error with the service's own sentence."""
    try:
        document = orjson.loads(content)["error"]
        message, code = str(document["message"]), str(document["code"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return TaxiwayError(f"{url} answered {status} without saying why.", code="not_taxiway")
    if status == 401:
        message = f"{message.rstrip('.')}; --key or TAXIWAY_KEY gives the key."
    # The service's sentence whole, and on one line: it may list what is accepted.
    return TaxiwayError(" ".join(message.split()), code=code)
