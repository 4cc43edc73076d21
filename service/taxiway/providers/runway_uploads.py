"""Reference images on their way to Runway: within the request where they are small, uploaded before it where not.

Runway takes an image in the body up to 5 MB of base64, and advises 3.3 MB of image; an upload may have 200 MB.
Uploading buys nothing, so it happens before the submission, where a crash or a cancellation costs nothing.
"""

import asyncio
import base64
import binascii
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import IO
from weakref import WeakValueDictionary

import aiohttp
import orjson

from taxiway.artifacts import OpenAsset
from taxiway.errors import ArchiveError, Refusal, SubmissionRefusedError
from taxiway.formats import suffix_of
from taxiway.jobs import Asset, GenerationRequest, Reference
from taxiway.protocols import Instruments
from taxiway.providers.runway_failures import refused

#: The largest image that Runway advises to put there.
INLINE_BYTES = 3_300_000

#: The most of images in one request; the rest is uploaded. How much its gateway takes is not published.
INLINE_TOTAL_BYTES = 10_000_000

#: Smaller files are refused by the upload, and need none.
UPLOAD_BYTES_MIN = 512

#: An uploaded file is there for 24 hours; a task may wait in a queue for some of them.
UPLOAD_LIFE_S = 20 * 3_600.0

#: A placeholder is good for one post; when that fails, a new one is asked for.
UPLOAD_TRIES = 3

_CONNECT_S, _STALL_S = 10.0, 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Placeholder:
    """Where one file may be posted, with which fields, and what it is called afterwards."""

    url: str
    fields: Mapping[str, str]
    uri: str


class RunwayUploads:
    """The files of one deployment's requests. A file that was uploaded a while ago is not uploaded again.

    `ask` asks Runway for a placeholder and raises `SubmissionRefusedError`; the file itself goes to a storage
    on another host, which must not see the key.
    """

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        verify_tls: bool,
        ask: Callable[[bytes], Awaitable[Placeholder]],
        open_asset: OpenAsset | None,
        instruments: Instruments,
    ) -> None:
        self._session = session
        self._verify_tls = verify_tls
        self._ask = ask
        self._open_asset = open_asset
        self._instruments = instruments
        self._uris: dict[str, tuple[str, float]] = {}
        """Digest → the file's address at Runway, and until when it is good, by the loop's clock."""
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def prepared(self, request: GenerationRequest) -> GenerationRequest:
        """Return a request whose references are all in a form that Runway takes.

        Raises `SubmissionRefusedError`: nothing was bought.
        """
        left_bytes = INLINE_TOTAL_BYTES
        made = []
        for reference in (*request.references, *filter(None, (request.mask,))):
            size_bytes = _size_bytes(reference)
            inline = size_bytes <= min(INLINE_BYTES, left_bytes) or size_bytes < UPLOAD_BYTES_MIN
            left_bytes -= size_bytes if inline else 0
            uri = await (self._inline(reference) if inline else self._uploaded(reference))
            made.append(replace(reference, uri=uri, asset=None))
        count = len(request.references)
        return replace(request, references=tuple(made[:count]), mask=next(iter(made[count:]), None))

    async def _inline(self, reference: Reference) -> str:
        if reference.asset is None:
            return reference.uri
        content = bytearray()
        async with self._opened(reference.asset) as chunks:
            async for chunk in chunks:
                content += chunk
        return f"data:{reference.asset.content_type};base64,{base64.b64encode(content).decode()}"

    async def _uploaded(self, reference: Reference) -> str:
        with tempfile.TemporaryFile() as file:
            # The storage wants to know the length beforehand, and a second try wants the bytes again.
            asset = await self._fetch(reference, file)
            lock = self._locks.get(asset.digest)
            if lock is None:
                lock = self._locks[asset.digest] = asyncio.Lock()
            async with lock:  # several tasks of one job want the same file at the same time
                now_s = asyncio.get_running_loop().time()
                self._uris = {key: uri for key, uri in self._uris.items() if uri[1] > now_s}
                if asset.digest not in self._uris:
                    self._uris[asset.digest] = (
                        await self._upload(asset, file),
                        now_s + UPLOAD_LIFE_S,
                    )
                return self._uris[asset.digest][0]

    async def _fetch(self, reference: Reference, file: IO[bytes]) -> Asset:
        if reference.asset is None:
            return await asyncio.to_thread(_decode, reference.uri, file)
        async with self._opened(reference.asset) as chunks:
            async for chunk in chunks:
                await asyncio.to_thread(file.write, chunk)
        return reference.asset

    async def _upload(self, asset: Asset, file: IO[bytes]) -> str:
        name = f"reference.{suffix_of(asset.content_type)}"
        for _ in range(UPLOAD_TRIES):
            placeholder = await self._ask(orjson.dumps({"filename": name, "type": "ephemeral"}))
            if await self._post(placeholder, file, asset):
                return placeholder.uri
        raise SubmissionRefusedError(
            "The provider's storage did not take a reference image; nothing was bought.",
            code="no_deployment_available",
            refusal=Refusal.OVERLOADED,
        )

    async def _post(self, placeholder: Placeholder, file: IO[bytes], asset: Asset) -> bool:
        """Return whether the storage has taken the file."""
        loop = asyncio.get_running_loop()
        started_s, code = loop.time(), "error"
        form = aiohttp.FormData()
        for name, value in placeholder.fields.items():
            form.add_field(name, value)
        file.seek(0)
        # The form closes what it has sent.
        copy = os.fdopen(os.dup(file.fileno()), "rb")
        form.add_field("file", copy, filename="reference", content_type=asset.content_type)
        try:
            async with self._session.post(
                placeholder.url,
                data=form,
                ssl=self._verify_tls,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(sock_connect=_CONNECT_S, sock_read=_STALL_S),
            ) as response:
                code = str(response.status)
                return 200 <= response.status < 300
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False
        finally:
            copy.close()
            self._instruments.upstream("upload", code, loop.time() - started_s)

    @asynccontextmanager
    async def _opened(self, asset: Asset) -> AsyncIterator[AsyncIterator[bytes]]:
        if self._open_asset is None:
            raise _unreadable("it has no archive to be in")
        try:
            async with self._open_asset(asset) as chunks:
                yield chunks
        except ArchiveError as error:
            raise _unreadable(error.message) from error


def in_form(request: GenerationRequest) -> bool:
    """Return whether every reference of a request is in a form that Runway takes already."""
    references = (*request.references, *filter(None, (request.mask,)))
    return sum(map(_size_bytes, references)) <= INLINE_BYTES and not any(
        r.asset for r in references
    )


def placeholder(status: int, body: object, *, wait_s: float | None) -> Placeholder:
    """Return what Runway answered when it was asked for a placeholder. Raises `SubmissionRefusedError`."""
    match body:
        case {"uploadUrl": str(url), "fields": dict(form), "runwayUri": str(uri)} if status == 200:
            return Placeholder(url=url, fields={str(k): str(v) for k, v in form.items()}, uri=uri)
    refusal = refused(status, body, wait_s=wait_s)
    if isinstance(refusal, SubmissionRefusedError):
        raise refusal
    raise SubmissionRefusedError(
        "The provider takes no uploads at the moment; nothing was bought.",
        code="no_deployment_available",
        refusal=Refusal.OVERLOADED,
        retry_after_s=wait_s,
    )


def _size_bytes(reference: Reference) -> int:
    """Return how large an image is that a request would carry; 0 for one that Runway fetches itself."""
    if reference.asset is not None:
        return reference.asset.length_bytes
    return len(reference.uri) * 3 // 4 if reference.uri.startswith("data:") else 0


def _decode(uri: str, file: IO[bytes]) -> Asset:
    head, _, data = uri.removeprefix("data:").partition(",")
    try:
        content = base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise SubmissionRefusedError(
            "A reference image is not base64.",
            code="invalid_image",
            refusal=Refusal.FINAL,
            param="reference_images",
        ) from error
    file.write(content)
    return Asset(
        digest=hashlib.sha256(content).hexdigest(),
        content_type=head.partition(";")[0],
        length_bytes=len(content),
    )


def _unreadable(why: str) -> SubmissionRefusedError:
    return SubmissionRefusedError(
        f"A file of the request cannot be read: {why}",
        code="reference_unavailable",
        refusal=Refusal.UNREACHABLE,
    )
