"""`GET /v1/jobs/{id}/images/{n}`: the bytes of an image, wherever they are by now.

From the archive they come with all that caches and interrupted downloads want. From the provider they come as
they come, through a fresh address where the old one has expired.
"""

from collections.abc import Mapping
from types import MappingProxyType

from aiohttp import web

from taxiway.errors import BadGatewayError, NotFoundError, RangeNotSatisfiableError
from taxiway.formats import suffix_of
from taxiway.jobs import Image, Job
from taxiway.server.access import find_job
from taxiway.server.answers import NO_STORE
from taxiway.server.followers import Stream
from taxiway.server.keys import JOB, SETTINGS, UNTIMED
from taxiway.server.links import image_path
from taxiway.server.pictures import Picture
from taxiway.server.problems import problem
from taxiway.server.ranges import Version, read_range
from taxiway.server.sources import Source
from taxiway.server.streams import send, tune

#: An SVG is a document that may bring scripts: it is shown without them, without a net, and in no one's name.
#: For the other formats this changes nothing, and it holds too where the bytes are none of them.
_HARMLESS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "X-Content-Type-Options": "nosniff",
    }
)

#: An image never changes. Only the caller's own cache may hold it: a shared one does not know who may see it.
_CACHE = "private, max-age=86400, immutable"


async def get_image(request: web.Request) -> web.StreamResponse:
    """Answer with the bytes of an image, also after the provider's address has expired.

    Raises `NotFoundError` (`job_not_found`, `image_not_found`, `image_gone`), and `BadGatewayError`
    (`image_unavailable`) where it cannot be had for the moment.
    """
    job = await find_job(request, request.match_info["id"])
    image = _find(job, int(request.match_info["n"]))
    request[JOB], request[UNTIMED] = job, True
    source = Source(request.app, job, image)
    headers = {**_HARMLESS, **_names(job, image)}
    if not source.stored:
        return await _send(request, job, image, source, headers=headers | NO_STORE)
    version = Version(etag=f'"{image.digest}"', modified_at=job.finished_at or job.created_at)
    headers |= version.headers | {"Accept-Ranges": "bytes", "Cache-Control": _CACHE}
    if version.known(request.headers):
        return web.Response(status=304, headers=headers)
    length = image.length_bytes or 0
    part = read_range(request.headers.get("Range"), length)
    if part is None or not version.meant(request.headers):
        return await _send(request, job, image, source, headers=headers)
    if not part:
        response = problem(RangeNotSatisfiableError(job_id=job.id))
        response.headers["Content-Range"] = f"bytes */{length}"
        return response
    headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{length}"
    source = Source(request.app, job, image, start=part.start, stop=part.stop)
    return await _send(request, job, image, source, headers=headers, status=206)


async def _send(
    request: web.Request,
    job: Job,
    image: Image,
    source: Source,
    *,
    headers: Mapping[str, str],
    status: int = 200,
) -> web.StreamResponse:
    async with Picture(source.open) as picture:
        if not await picture.begin():
            raise _absence(source, picture, job)
        response = web.StreamResponse(status=status, headers=headers)
        response.content_type = picture.content_type or image.content_type
        response.content_length = picture.length_bytes
        stream = Stream(
            response,
            transport=request.transport,
            stall_s=request.app[SETTINGS].sse_write_timeout_s,
        )

        async def tell() -> None:
            if request.method == "HEAD":
                return
            async for chunk in picture:
                await stream.write(chunk)

        tune(request.transport)
        await send(request, stream, tell, job_id=job.id)
    return response


def _find(job: Job, index: int) -> Image:
    if index >= len(job.images):
        raise NotFoundError(
            f"The job has {len(job.images)} images; there is no image {index}.",
            code="image_not_found",
            job_id=job.id,
        )
    return job.images[index]


def _names(job: Job, image: Image) -> dict[str, str]:
    name = f"{job.id}-{image.index}.{suffix_of(image.content_type)}"
    return {
        "Content-Disposition": f'inline; filename="{name}"',
        "Content-Location": image_path(job.id, image.index),
    }


def _absence(source: Source, picture: Picture, job: Job) -> NotFoundError | BadGatewayError:
    if source.gone:
        return NotFoundError(
            "The provider does not have the image any more, and it is in no archive.",
            code="image_gone",
            job_id=job.id,
        )
    return BadGatewayError(picture.error, code="image_unavailable", job_id=job.id)
