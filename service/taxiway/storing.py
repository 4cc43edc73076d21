"""From the provider into the archive: the last step of a job, which never buys anything.

The bytes are passed on as they come and stay as they are; what they are is read off them on the way. A download
that breaks off leaves nothing behind and is begun again. An image that cannot be stored is not lost: it stays
with the provider, the job says so, and its address still leads to it for a while.
"""

import asyncio
import random

from taxiway.artifacts import Archive, image_name
from taxiway.cadence import backoff_s
from taxiway.errors import ArchiveError, ProviderUnavailableError
from taxiway.facts import Kept, Stored
from taxiway.jobs import Image, Job
from taxiway.originals import Original
from taxiway.passing import pass_into
from taxiway.routing.fleet import Fleet

#: Downloads begun for one image before it is left with the provider, pauses of 0.5, 1 and 2 s between them.
TRIES = 4

#: How long one image may take, repeats included: a caller may be waiting, behind an edge that waits a minute
#: longer than the longest job.
BUDGET_S = 45.0

#: Images on their way at once. A large one takes up to 15 MB of memory on its way into a bucket.
AT_ONCE = 16


class Keeper:
    """Stores the images of finished attempts. Made once, and used by every generation."""

    def __init__(self, archive: Archive, *, fleet: Fleet) -> None:
        self._archive = archive
        self._fleet = fleet
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def keep(self, job: Job) -> Stored:
        """Store every image of a job that waits for it. Being cancelled loses nothing: it can be done again."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._keep(job, image), name=f"keep:{job.id}:{image.index}")
                for image in job.images
                if image.keep
            ]
        return Stored(images=tuple(task.result() for task in tasks))

    async def _keep(self, job: Job, image: Image) -> Kept:
        original = Original(self._fleet, job, image)
        error = ""
        async with self._slots:
            try:
                async with asyncio.timeout(BUDGET_S):
                    for tries in range(TRIES):
                        if tries:
                            await asyncio.sleep(backoff_s(tries - 1, jitter=random.random()))  # noqa: S311
                        try:
                            return await self._try(job, image, original)
                        except (ProviderUnavailableError, ArchiveError) as failure:
                            error = failure.message
                        if original.gone:
                            break
            except TimeoutError:
                error = error or f"It took more than {BUDGET_S:.0f} s."
        return Kept(image=image.index, archived=None, error=error)

    async def _try(self, job: Job, image: Image, original: Original) -> Kept:
        async with original.open() as download:
            passed = await pass_into(
                self._archive,
                download.chunks,
                name_of=lambda kind: image_name(job, image.index, content_type=kind),
                told_type=download.content_type,
            )
        return Kept(
            image=image.index,
            archived=passed.name,
            size=passed.size,
            content_type=passed.content_type,
            length_bytes=passed.length_bytes,
            digest=passed.digest,
        )
