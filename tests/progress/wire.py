"""A viewer who reads bytes, and jobs to watch."""

import asyncio
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

import orjson
from yarl import URL

from taxiway.facts import Delivered, Fact, Output, Seen, Submitted, Submitting
from taxiway.jobs import GenerationRequest, Job, Part, Phase, Plan, new_job_id
from taxiway.journal import Journal
from taxiway.transitions import accept

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The life of a job: after the first of these facts its revision is 2, after the last 5, and it is completed.
LIFE: tuple[Fact, ...] = (
    Submitting(
        attempt=0, part=0, deployment="gen4_image-1", provider="runwayml", model="gen4_image"
    ),
    Submitted(attempt=0, upstream_id="runway-task", credits=8),
    Seen(attempt=0, phase=Phase.RUNNING, progress=0.02),
    Delivered(
        attempt=0,
        outputs=(Output(url="https://images.example/1", size=None, content_type="image/png"),),
        credits=8,
    ),
)


SUBMITTING, SUBMITTED, RUNNING, DELIVERED = LIFE


def queued(*, created_at: float = 1_795_445_754.25) -> Job:
    """Return a job that was just accepted."""
    return accept(
        GenerationRequest(model="runwayml/gen4_image", prompt="a red fox in the snow"),
        Plan(size="1920x1080", parts=(Part(images=1, credits=8),)),
        id=new_job_id(created_at),
        at=created_at,
        deadline_at=created_at + 600,
    )


async def job_at(journal: Journal, revision: int) -> Job:
    """Return a job that has come to this revision; at 5 it has ended, and only the store knows it."""
    job = await journal.accept(queued())
    for fact in LIFE[: revision - 1]:
        job = await journal.record(job.id, fact)
    if job.final:
        journal.release(job.id)
    return job


class Wire:
    """A bare connection to a stream of events. What the service writes at once is one chunk here."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.status = 0
        self.headers: Mapping[str, str] = {}

    @classmethod
    async def get(cls, url: str, path: str, *, last_event_id: str | None = None) -> Self:
        """Ask, and read the head of the answer."""
        address = URL(url)
        wire = cls(*await asyncio.open_connection(address.host, address.port))
        cursor = "" if last_event_id is None else f"Last-Event-ID: {last_event_id}\r\n"
        wire.writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\n{cursor}\r\n".encode())
        head = (await wire.reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        wire.status = int(head[0].split()[1])
        wire.headers = dict(line.split(": ", 1) for line in head[1:] if line)
        return wire

    async def chunk(self) -> bytes:
        """Return what is written next; b"" at a clean end. Raises `IncompleteReadError` for a cut."""
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        data = await self.reader.readexactly(size + 2)
        return data[:-2]

    async def frame(self) -> "Frame":
        """Return the next frame."""
        return Frame.of(await self.chunk())

    async def rest(self) -> list[bytes]:
        """Return all that is written until the clean end."""
        chunks = []
        while chunk := await self.chunk():
            chunks.append(chunk)
        return chunks

    def leave(self) -> None:
        """Hang up."""
        self.writer.close()


class Frame:
    """One frame, taken apart by the grammar of its lines and by nothing more tolerant."""

    def __init__(self, retry: str | None, name: str, id: str | None, data: str) -> None:  # noqa: A002
        self.retry_ms = None if retry is None else int(retry)
        self.name, self.id = name, id
        self.job: dict[str, Any] = orjson.loads(data)

    @classmethod
    def of(cls, chunk: bytes) -> Self:
        """Read a chunk that must be exactly one frame."""
        pattern = (
            r"(?:retry: ([0-9]+)\n)?event: ([a-z_.]+)\n(?:id: ([0-9]+)\n)?data: (\{[^\n]*\})\n\n"
        )
        match = re.fullmatch(pattern, chunk.decode())
        assert match, chunk
        return cls(*match.groups())

    @property
    def line(self) -> tuple[str, str | None, int]:
        """Its name, its id, and the progress of the job in it."""
        return self.name, self.id, self.job["progress"]


WRITTEN: Counter[int] = Counter()
