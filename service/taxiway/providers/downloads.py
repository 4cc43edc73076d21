"""An image's bytes from the address that a vendor gave it: the same for every vendor."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from taxiway.errors import ImageExpiredError, ProviderUnavailableError
from taxiway.protocols import Download, Instruments

CONNECT_TIMEOUT_S = 10.0
STALL_S = 30.0


@asynccontextmanager
async def download(
    url: str, *, session: aiohttp.ClientSession, verify_tls: bool, instruments: Instruments
) -> AsyncIterator[Download]:
    """Open an image, without anybody's key.

    Raises `ImageExpiredError` where its host refuses the address, else `ProviderUnavailableError`.
    """
    timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_S, sock_read=STALL_S)
    started_s = asyncio.get_running_loop().time()
    code = "error"
    try:
        async with session.get(url, timeout=timeout, ssl=verify_tls) as response:
            code = str(response.status)
            if 400 <= response.status < 500:
                raise ImageExpiredError(f"The image's host answered {response.status}.")
            if response.status != 200:
                raise ProviderUnavailableError(
                    f"The image's host answered {response.status}.", code="image_unavailable"
                )
            yield Download(
                content_type=response.content_type,
                length_bytes=response.content_length,
                chunks=response.content.iter_chunked(65_536),
            )
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        code = "error"
        raise ProviderUnavailableError(
            "The image could not be fetched.", code="image_unavailable"
        ) from error
    finally:
        instruments.upstream("download", code, asyncio.get_running_loop().time() - started_s)
