"""Images whose bytes came with the provider's answer: kept before anybody is told that they are there.

The answer is the only place where they are, so they go into the archive first, and only then is the attempt
recorded as done. A crash in between leaves a submission whose outcome is unknown, as a lost answer does.
Where there is no archive, or it does not take them, they wait in a spool for whoever asked.
"""

import asyncio
import random
from contextlib import suppress

from taxiway.artifacts import Archive, image_name, in_spool
from taxiway.cadence import backoff_s
from taxiway.errors import ArchiveError, ProviderUnavailableError
from taxiway.facts import Delivered, Failed, Handed, Made, Output
from taxiway.frozen import replace
from taxiway.jobs import Attempt, Job, JobError
from taxiway.passing import Passed, pass_into
from taxiway.protocols import Note

#: Tries to put one image into the archive, and how long they may take: the caller waits meanwhile.
TRIES = 3
BUDGET_S = 30.0

#: What an address is taken to lead to until somebody has looked.
UNSEEN = "image/png"

EMPTY = JobError(
    code="provider_empty_output", message="The provider reported success, but gave no image."
)


class Taker:
    """Takes what a provider hands over. Made once, and used by every generation."""

    def __init__(self, archive: Archive | None, *, spool: Archive, note: Note) -> None:
        self._archive = archive
        self._spool = spool
        self._note = note

    async def take(
        self, job: Job, attempt: Attempt, made: Made, *, submitted_at: float
    ) -> Delivered | Failed:
        """Return what an answer comes to, its images kept; a failure where nothing of it is an image."""
        taken = [
            await self._taken(job, f"{attempt.index}-{place}", image)
            for place, image in enumerate(made.images)
        ]
        outputs = tuple(output for output in taken if output is not None)
        if not outputs:
            return Failed(
                attempt=attempt.index,
                error=EMPTY,
                credits=None,
                price_microusd=made.price_microusd,
                upstream_id=made.upstream_id,
                submitted_at=submitted_at,
            )
        return Delivered(
            attempt=attempt.index,
            outputs=outputs,
            credits=None,
            price_microusd=made.price_microusd,
            upstream_id=made.upstream_id,
            submitted_at=submitted_at,
            tokens=made.tokens,
        )

    async def _taken(self, job: Job, stem: str, image: Handed) -> Output | None:
        if image.content is None:
            return Output(
                url=image.url, size=None, content_type=UNSEEN, revised_prompt=image.revised_prompt
            )
        try:
            if self._archive is not None:
                try:
                    return await _archived(self._archive, job, stem, image)
                except ArchiveError as error:
                    self._note("archive.failed", job_id=job.id, error=error.message)
            passed = await _put(self._spool, job, stem, image)
        except (ArchiveError, ProviderUnavailableError) as error:
            self._note("image.not_stored", job_id=job.id, error=error.message)
            return None
        return _output(image, replace(passed, name=in_spool(passed.name)))


async def _archived(archive: Archive, job: Job, stem: str, image: Handed) -> Output:
    """Keep an image in the archive, which may be out of reach for a while. Raises `ArchiveError`."""
    try:
        async with asyncio.timeout(BUDGET_S):
            for tries in range(TRIES):
                with suppress(ArchiveError):
                    return _output(image, await _put(archive, job, stem, image))
                await asyncio.sleep(backoff_s(tries, jitter=random.random()))  # noqa: S311
    except TimeoutError:
        pass
    raise ArchiveError(
        "The archive did not take an image; it waits for its caller in this process."
    )


async def _put(archive: Archive, job: Job, stem: str, image: Handed) -> Passed:
    if image.content is None:
        raise ProviderUnavailableError("There are no bytes.")
    return await pass_into(
        archive, image.content(), name_of=lambda kind: image_name(job, stem, content_type=kind)
    )


def _output(image: Handed, passed: Passed) -> Output:
    return Output(
        url="",
        size=passed.size,
        content_type=passed.content_type,
        archived=passed.name,
        digest=passed.digest,
        length_bytes=passed.length_bytes,
        revised_prompt=image.revised_prompt,
    )
