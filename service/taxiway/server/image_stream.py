"""`stream: true`: OpenAI's image events over SSE, with the progress that OpenAI does not have.

Official clients take a stream that ends early for a stream without images, and say nothing. So every stream
here ends with a terminal frame, the last image or an error; where it cannot be written, the connection is
aborted, which they do report.
"""

from collections.abc import Callable, Mapping
from contextlib import aclosing

from aiohttp import web

from taxiway.errors import InternalServerError, NotReadyError, TaxiwayError
from taxiway.jobs import Image, Job, JobStatus
from taxiway.server import frames
from taxiway.server.base64_images import base64_pieces
from taxiway.server.documents import failure_of
from taxiway.server.followers import CloseReason, Stream
from taxiway.server.frames import Operation
from taxiway.server.keys import CLOCK, JOB, JOURNAL, LINKS, LOGS, METRICS, SETTINGS, UNTIMED
from taxiway.server.pictures import Picture, opener
from taxiway.server.streams import HEADERS, note_broken, send_stream, tune
from taxiway.server.waiting import see_off
from taxiway.topics import Topic

_PROGRESS: Mapping[Operation, Callable[[Job], bytes]] = {
    Operation.GENERATION: frames.generation_progress,
    Operation.EDIT: frames.edit_progress,
}


async def stream_images(
    request: web.Request,
    job: Job,
    *,
    response_format: str | None,
    operation: Operation = Operation.GENERATION,
    headers: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Stream a job to the caller who asked for it: progress, then its images or an error.

    Images are base64 unless `response_format` is `url`, and bear their `url` in both cases. An image that
    cannot be fetched is announced all the same, with `b64_json` null: it is paid for, and its `url` is true.
    When the service stops, the stream goes on while the shutdown budget lasts.
    """
    app = request.app
    settings = app[SETTINGS]
    request[JOB], request[UNTIMED] = job, True
    tune(request.transport)
    stream = Stream(
        web.StreamResponse(headers={**HEADERS, **(headers or {})}),
        transport=request.transport,
        stall_s=settings.sse_write_timeout_s,
        heartbeat_s=settings.sse_heartbeat_s,
    )
    async with app[JOURNAL].follow(job.id, stream) as topic:
        telling = _Telling(
            request, stream, topic, operation=operation, with_bytes=response_format != "url"
        )
        await send_stream(request, stream, telling.tell, job_id=job.id)
        await see_off(request, stream, topic)
    return stream.response


class _Telling:
    """One caller being told of one job, to the end."""

    def __init__(
        self,
        request: web.Request,
        stream: Stream,
        topic: Topic,
        *,
        operation: Operation,
        with_bytes: bool,
    ) -> None:
        self._request = request
        self._stream = stream
        self._topic = topic
        self._operation = operation
        self._with_bytes = with_bytes
        self._address = request.app[LINKS].url
        self._metrics = request.app[METRICS]
        self._clock = request.app[CLOCK]
        self._shown: tuple[object, ...] = ()
        self._within_frame = False

    async def tell(self) -> None:
        """Send progress until the job's end, and then what became of it."""
        try:
            await self._follow()
            job = self._topic.job
            if job.status is JobStatus.COMPLETED:
                for image in job.images:
                    await self._send_image(job, image)
            else:
                await self._send_error(_error_of(job))
        except ConnectionError:
            raise
        except Exception as error:
            if self._within_frame:
                raise  # no frame can be begun inside another: all that is left is to abort
            note_broken(self._request, error)
            self._stream.leave(CloseReason.ERROR)
            await self._send_error(InternalServerError(job_id=self._topic.job.id))

    async def _follow(self) -> None:
        stream, topic = self._stream, self._topic
        await self._send_progress()
        while not topic.job.final and stream.leaving is None:
            if _visible(topic.job) != self._shown:
                at = topic.at
                await self._send_progress()
                self._metrics.delivery_lag(self._clock.now() - at)
            elif stream.beat_due:
                await stream.write(frames.HEARTBEAT)
            else:
                await stream.wait()

    async def _send_progress(self) -> None:
        self._shown = _visible(self._topic.job)
        await self._stream.write(self._topic.encoded(_PROGRESS[self._operation]))
        self._count(f"{self._operation}.progress")

    async def _send_error(self, error: TaxiwayError) -> None:
        await self._stream.write(frames.error(error))
        self._count("error")

    async def _send_image(self, job: Job, image: Image) -> None:
        if self._with_bytes:
            await self._send_bytes(job, image)
        else:
            await self._stream.write(self._completed(job, image))
        self._count(f"{self._operation}.completed")

    async def _send_bytes(self, job: Job, image: Image) -> None:
        stream = self._stream
        async with Picture(opener(self._request.app, job, image)) as picture:
            if not await picture.begin():
                note = self._request.app[LOGS].note
                note("upstream.request.failed", job_id=job.id, error=picture.error)
                await stream.write(self._completed(job, image))
                return
            self._within_frame = True
            await stream.write(
                frames.image_begin(
                    job,
                    image,
                    operation=self._operation,
                    content_type=picture.content_type,
                    address=self._address,
                )
            )
            async with aclosing(base64_pieces(picture)) as pieces:
                async for piece in pieces:
                    await stream.write(piece)
            await stream.write(frames.IMAGE_END)
            self._within_frame = False

    def _completed(self, job: Job, image: Image) -> bytes:
        return frames.image_completed(job, image, operation=self._operation, address=self._address)

    def _count(self, name: str) -> None:
        self._stream.events += 1
        self._metrics.stream_event(name)


def _visible(job: Job) -> tuple[object, ...]:
    """Return what a progress frame shows of a job; not every revision changes it."""
    return job.status, job.phase, job.progress, job.queue_position


def _error_of(job: Job) -> TaxiwayError:
    """Return why there is no image: the job's own reason, or that this service does not wait for it."""
    if job.final:
        return failure_of(job) or InternalServerError(job_id=job.id)
    return NotReadyError(
        f"The service is shutting down. The job goes on: GET /v1/jobs/{job.id} has its outcome.",
        job_id=job.id,
    )
