"""`GET /v1/jobs/events?ids=a,b,c`: many jobs on one connection, of which a browser has six for a whole origin.

The frames are those of the jobs' own streams, byte for byte but for their ids. An id holds the revision of each
job that the viewer has, in the order of `ids`: `6.0.3`. So a cut between any two frames costs nothing.
"""

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial

from aiohttp import web

from taxiway.errors import NotFoundError
from taxiway.events import EventName, name_of
from taxiway.journal import Journal
from taxiway.server import frames, viewers
from taxiway.server.access import check_holders, identity_of
from taxiway.server.cursors import Positions, Resume, read_positions
from taxiway.server.followers import CloseReason, Stream
from taxiway.server.frames import JobFrames
from taxiway.server.identity import Identity
from taxiway.server.keys import CLOCK, JOB_FRAMES, JOURNAL, METRICS, UNTIMED
from taxiway.server.streams import send_stream, tune
from taxiway.topics import Topic


async def many_job_events(request: web.Request) -> web.StreamResponse:
    """Stream the events of the jobs that `ids=a,b,c` names, from where the viewer's cursor stands.

    Answers 204 to a viewer who has seen all ends. Raises what `GET /v1/jobs/{id}/events` raises, and
    `BadRequestError` for `ids`. A returning viewer meets no 404: a job may have been forgotten since.
    """
    app = request.app
    ids = viewers.read_ids(request.query)
    cursor = read_positions(request, len(ids))
    stream = viewers.open_stream(request)
    async with AsyncExitStack() as stack:
        follow = partial(
            _follow,
            stack,
            app[JOURNAL],
            stream,
            identity=identity_of(request),
            forgiving=cursor is not None,
        )
        topics = [await follow(job_id) for job_id in ids]
        await check_holders(request, (topic.job for topic in topics if topic is not None))
        view = _View(topics, cursor)
        if cursor is not None:
            app[METRICS].stream_resume(view.resume)
        turned_away = viewers.no_place(app) and not view.ended
        if turned_away and cursor is None:
            raise viewers.refusal(app)
        request[UNTIMED] = True
        if not view.has_news and not view.show_again():
            return web.Response(status=204)
        tune(request.transport, send_buffer_bytes=viewers.SEND_BUFFER_BYTES)
        telling = _Telling(request, stream, view, turned_away=turned_away)
        await send_stream(request, stream, telling.tell, jobs=len(ids), resumed=cursor is not None)
    return stream.response


async def _follow(
    stack: AsyncExitStack,
    journal: Journal,
    stream: Stream,
    job_id: str,
    *,
    identity: Identity,
    forgiving: bool,
) -> Topic | None:
    """Follow a job until the stack is left. Raises `NotFoundError`, unless `forgiving`: then it is None."""
    try:
        topic = await stack.enter_async_context(journal.follow(job_id, stream))
        identity.check_job(topic.job)
    except NotFoundError:
        if forgiving:
            return None
        raise
    return topic


class _View:
    """What one viewer has seen of some jobs. A job that is not there any more counts as seen.

    `positions` are the revisions the viewer has, in the order of the request.
    """

    def __init__(self, topics: Sequence[Topic | None], cursor: Positions | None) -> None:
        self.resume: Resume = "current"
        """What a viewer with a cursor meets."""
        self.positions = [0] * len(topics) if cursor is None else list(cursor.revisions)
        self._topics = {place: topic for place, topic in enumerate(topics) if topic is not None}
        #: The newest event the viewer has of each job, by the topic's count; 0 before the first.
        self._serials = dict.fromkeys(self._topics, 0)
        for place, topic in self._topics.items():
            self._begin(place, topic)
        if cursor is not None and not cursor.readable:
            self.resume = "gap"

    def _begin(self, place: int, topic: Topic) -> None:
        if self.positions[place] == topic.job.revision:
            self._serials[place] = topic.serial
        elif self.positions[place] < topic.job.revision:
            self.resume = "gap" if self.resume == "gap" else "replayed"
        else:
            self.resume = "gap"
            # By the next cut there may be such a revision, and it would count as seen.
            self.positions[place] = 0

    @property
    def ended(self) -> bool:
        """Whether all jobs have come to their ends."""
        return all(topic.job.final for topic in self._topics.values())

    @property
    def has_news(self) -> bool:
        """Whether there is anything the viewer has not got."""
        return any(True for _ in self.news())

    def news(self) -> Iterator[int]:
        """Yield the places of jobs of which the viewer has not got the newest event."""
        for place, topic in self._topics.items():
            if topic.serial != self._serials[place]:
                yield place

    def show_again(self) -> bool:
        """Make an unfinished job news, though the viewer has it. Returns False where there is none."""
        for place, topic in self._topics.items():
            if not topic.job.final:
                self._serials[place] = 0
                return True
        return False

    def told_at(self, place: int) -> float | None:
        """Return when the newest event of a job was told; None where it was before the viewer came."""
        return self._topics[place].at if self._serials[place] else None

    def take(self, place: int, shared: JobFrames) -> tuple[EventName, bytes]:
        """Return the newest frame of a job and its name; from now on the viewer has it."""
        topic = self._topics[place]
        job = topic.job
        self._serials[place] = topic.serial
        if job.revision == self.positions[place]:
            return EventName.PROGRESS, topic.encoded(shared.tick)
        self.positions[place] = job.revision
        frame = topic.encoded(shared.unnumbered)
        return name_of(job), frames.with_id(frame, positions=self.positions)


class _Telling:
    """One viewer being told of several jobs."""

    def __init__(
        self, request: web.Request, stream: Stream, view: _View, *, turned_away: bool
    ) -> None:
        self._stream = stream
        self._view = view
        self._turned_away = turned_away
        self._frames = request.app[JOB_FRAMES]
        self._clock = request.app[CLOCK]
        self._metrics = request.app[METRICS]

    async def tell(self) -> None:
        """Send all jobs as they are, and every change to the last end, or until the stream has to leave."""
        stream, view = self._stream, self._view
        retry_ms = viewers.retry_ms(turned_away=self._turned_away)
        await self._send(next(view.news()), retry_ms=retry_ms)
        if self._turned_away:
            # Where nobody may stay, a moment is the whole age.
            stream.leave(CloseReason.MAX_AGE)
        while stream.leaving is None:
            if view.has_news:
                await self._send_news()
            elif view.ended:
                return
            elif stream.beat_due:
                await stream.write(frames.HEARTBEAT)
            else:
                await stream.wait()

    async def _send_news(self) -> None:
        """Send a frame for each job that has one, so that a busy one holds no other up."""
        for place in tuple(self._view.news()):
            if self._stream.leaving is None:
                await self._send(place)

    async def _send(self, place: int, *, retry_ms: int | None = None) -> None:
        told_at = self._view.told_at(place)
        name, frame = self._view.take(place, self._frames)
        if retry_ms is not None:
            frame = frames.with_retry(frame, retry_ms=retry_ms)
        await self._stream.write(frame)
        self._stream.events += 1
        self._metrics.stream_event(name)
        if told_at is not None:
            self._metrics.delivery_lag(self._clock.now() - told_at)
