"""`GET /v1/jobs/{id}/events`: the job now, then every change, to its end.

A frame is the whole job, so the newest one is all a viewer needs: a slow one skips, a returning one is sent
what is, and nobody keeps anything for anybody.
"""

from aiohttp import web

from taxiway.events import EventName, name_of
from taxiway.server import frames, viewers
from taxiway.server.access import check_holders, identity_of
from taxiway.server.cursors import Start, read_cursor, start_of
from taxiway.server.followers import CloseReason, Stream
from taxiway.server.keys import CLOCK, JOB, JOB_FRAMES, JOURNAL, METRICS, UNTIMED
from taxiway.server.streams import send_stream, tune
from taxiway.topics import Topic


async def job_events(request: web.Request) -> web.StreamResponse:
    """Stream a job's events, from where the viewer's cursor stands.

    Answers 204 to a viewer who has seen the end. Raises `NotFoundError`, and for a viewer without a cursor
    `RateLimitError` or `NotReadyError`; a returning one is sent the job and told to come back, since an
    `EventSource` gives up for good on any status but 200.
    """
    app, job_id = request.app, request.match_info["id"]
    cursor = read_cursor(request)
    stream = viewers.open_stream(request)
    async with app[JOURNAL].follow(job_id, stream) as topic:
        identity_of(request).check_job(topic.job)
        await check_holders(request, [topic.job])
        start = start_of(topic.job, cursor)
        if start.resume is not None:
            app[METRICS].stream_resume(start.resume)
        turned_away = not topic.job.final and viewers.no_place(app)
        if turned_away and cursor is None:
            raise viewers.refusal(app)
        request[JOB], request[UNTIMED] = topic.job, True
        if start.nothing_left:
            return web.Response(status=204)
        tune(request.transport, send_buffer_bytes=viewers.SEND_BUFFER_BYTES)
        telling = _Telling(request, stream, topic, start=start, turned_away=turned_away)
        await send_stream(request, stream, telling.tell, job_id=job_id, resumed=cursor is not None)
    return stream.response


class _Telling:
    """One viewer being told of one job."""

    __slots__ = (
        "_clock",
        "_frames",
        "_metrics",
        "_seen",
        "_serial",
        "_stream",
        "_topic",
        "_turned_away",
    )

    def __init__(
        self,
        request: web.Request,
        stream: Stream,
        topic: Topic,
        *,
        start: Start,
        turned_away: bool,
    ) -> None:
        self._stream = stream
        self._topic = topic
        self._turned_away = turned_away
        self._clock = request.app[CLOCK]
        self._frames = request.app[JOB_FRAMES]
        self._metrics = request.app[METRICS]
        self._seen = start.seen
        """The newest revision the viewer has; one that it has is told as a tick."""
        self._serial = 0

    async def tell(self) -> None:
        """Send the job as it is, and every change until its end, or until the stream has to leave."""
        stream, topic = self._stream, self._topic
        await self._send_first()
        if stream.chunked:
            stream.take = self._take
        while stream.leaving is None:
            if topic.serial != self._serial:
                at = topic.at
                name, frame = self._newest()
                await stream.write(frame)
                self._sent(name, at)
            elif topic.job.final:
                return
            elif stream.beat_due:
                await stream.write(frames.HEARTBEAT)
            else:
                await stream.wait()

    def _take(self) -> bool:
        """Push the newest frame. The last one is left to `tell`, which ends the stream."""
        topic = self._topic
        if topic.job.final:
            return False
        name, frame = self._newest()
        self._stream.push(frame)
        self._sent(name, topic.at)
        return True

    def _sent(self, name: EventName, at: float) -> None:
        self._stream.events += 1
        self._metrics.stream_event(name)
        self._metrics.delivery_lag(self._clock.now() - at)

    async def _send_first(self) -> None:
        name, frame = self._newest()
        retry_ms = viewers.retry_ms(turned_away=self._turned_away)
        await self._stream.write(frames.with_retry(frame, retry_ms=retry_ms))
        self._stream.events += 1
        self._metrics.stream_event(name)
        if self._turned_away:
            # Where nobody may stay, a moment is the whole age.
            self._stream.leave(CloseReason.MAX_AGE)

    def _newest(self) -> tuple[EventName, bytes]:
        """Return the newest frame and its name: the same bytes for all viewers in the same position."""
        topic = self._topic
        job = topic.job
        self._serial = topic.serial
        if job.revision == self._seen:
            return EventName.PROGRESS, topic.encoded(self._frames.tick)
        self._seen = job.revision
        return name_of(job), topic.encoded(self._frames.recorded)
