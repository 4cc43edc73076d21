"""The jobs: their list, one of them, and the wish that one should stop."""

from dataclasses import replace

from aiohttp import web

from taxiway.server.access import find_job, identity_of
from taxiway.server.answers import NO_STORE, job_answer, json_answer
from taxiway.server.documents import job_document
from taxiway.server.keys import JOURNAL, LINKS, RUNNER, STORE
from taxiway.server.queries import read_query


async def list_jobs(request: web.Request) -> web.Response:
    """Answer with a page of jobs, newest first; `after=<last_id>` asks for the next one."""
    query = replace(read_query(request.query), scope=identity_of(request).sight)
    # One more than asked for tells whether there is a next page.
    found = await request.app[STORE].list(replace(query, limit=query.limit + 1))
    address = request.app[LINKS].url
    page = [request.app[JOURNAL].newest(job) for job in found[: query.limit]]
    return json_answer(
        {
            "object": "list",
            "data": [job_document(job, address=address) for job in page],
            "has_more": len(found) > query.limit,
            "first_id": page[0].id if page else None,
            "last_id": page[-1].id if page else None,
        },
        headers=NO_STORE,
    )


async def get_job(request: web.Request) -> web.Response:
    """Answer with a job, however it stands: a failed one is a 200 too. Raises `NotFoundError`."""
    job = await find_job(request, request.match_info["id"])
    return job_answer(request, job)


async def cancel_job(request: web.Request) -> web.Response:
    """Ask a job to stop, and answer with it as it stands; asking twice is fine. Raises `NotFoundError`."""
    job = await find_job(request, request.match_info["id"])
    job = await request.app[RUNNER].cancel(job.id)
    return job_answer(request, job)
