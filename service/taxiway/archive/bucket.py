"""Images in a bucket of S3, Google Cloud Storage or Azure, and of whatever speaks like one of them.

Keys, regions and endpoints come from the environment, in the names that each vendor's own tools read
(`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, `GOOGLE_APPLICATION_CREDENTIALS`, …), or from the machine's role.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from taxiway.artifacts import is_ours
from taxiway.errors import ArchiveError, ConfigError, cut

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult
    from obstore.store import ObjectStore

#: The least that S3 takes as a part. A smaller image is one request.
PART_BYTES = 5 * 1024 * 1024

#: Bytes handed on at a time.
PIECE_BYTES = 256 * 1024

#: Keys deleted in one request: S3's limit.
PAGE = 1_000


def open_bucket(url: str) -> "Bucket":
    """Return the archive in the bucket of an address. Raises `ConfigError`."""
    try:
        import obstore
        from obstore.store import from_url
    except ImportError as error:
        raise ConfigError(
            "artifacts_url names a bucket, which needs the package obstore: install taxiway[s3]."
        ) from error
    try:
        store = from_url(
            url,
            # Without TLS only to an endpoint that the environment spells http://, as for one in the same cluster.
            client_options={"connect_timeout": "5s", "timeout": "60s", "allow_http": True},
            # The caller repeats too, from the first byte; this is for what a moment heals.
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=10)},
        )
    except (obstore.exceptions.BaseError, ValueError) as error:
        raise ConfigError(f"artifacts_url cannot be used: {_words(error)}.") from error
    return Bucket(store)


class Bucket:
    """An archive in a bucket; see `Archive` for what each call promises."""

    def __init__(self, store: "ObjectStore") -> None:
        import obstore

        self._store = store
        self._api = obstore
        # A missing object, or bucket, is Python's own error.
        self._faults = (obstore.exceptions.BaseError, OSError, ValueError)

    async def put(self, name: str, chunks: AsyncIterator[bytes], *, content_type: str) -> None:
        """Store an object: in one request where it is small, in parts that are joined at the end where not."""
        body = _Body(chunks)
        whole = await body.whole()
        try:
            await self._api.put_async(
                self._store,
                name,
                body if whole is None else whole,
                attributes={"Content-Type": content_type},
                chunk_size=PART_BYTES,
                max_concurrency=1,
            )
        except self._faults as error:
            raise body.failure or _fault(error) from error

    @asynccontextmanager
    async def open(
        self, name: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open an object's bytes."""
        options: GetOptions = {}
        if start or stop is not None:
            options["range"] = {"offset": start} if stop is None else (start, stop)
        try:
            found = await self._api.get_async(self._store, name, options=options)
        except self._faults as error:
            raise _fault(error) from error
        yield self._read(found)

    async def forget(self, before: float) -> int:
        """Delete the objects that are older than a date."""
        date = datetime.fromtimestamp(before, UTC)
        forgotten = 0
        try:
            top = await self._api.list_with_delimiter_async(self._store)
            for folder in top["common_prefixes"]:
                if is_ours(folder.strip("/")):
                    forgotten += await self._clear(folder, date)
        except self._faults as error:
            raise _fault(error) from error
        return forgotten

    async def _read(self, found: "GetResult") -> AsyncGenerator[bytes, None]:
        try:
            async for piece in found.stream(min_chunk_size=PIECE_BYTES):
                yield bytes(piece)
        except self._faults as error:
            raise _fault(error) from error

    async def _clear(self, folder: str, date: datetime) -> int:
        forgotten = 0
        async for page in self._api.list(self._store, folder, chunk_size=PAGE):
            old = [each["path"] for each in page if each["last_modified"] < date]
            if old:
                await self._api.delete_async(self._store, old)
            forgotten += len(old)
        return forgotten


class _Body:
    """An image on its way up. What its source raises is remembered: it is no fault of the bucket."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self.failure: Exception | None = None
        self._chunks = chunks
        self._held = bytearray()

    async def whole(self) -> bytes | None:
        """Return the image, None for one that is larger than a part: that one is to be iterated."""
        async for chunk in self._chunks:
            self._held += chunk
            if len(self._held) > PART_BYTES:
                return None
        return bytes(self._held)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._held:
            held, self._held = self._held, bytearray()
            return bytes(held)
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            raise
        except Exception as error:
            self.failure = error
            raise


def _fault(error: Exception) -> ArchiveError:
    return ArchiveError(f"The bucket of the images: {_words(error)}.")


def _words(error: Exception) -> str:
    """Return what went wrong in one line; the library adds a page of details for its own developers."""
    return cut(str(error).partition("\n")[0]).rstrip(".: ")
