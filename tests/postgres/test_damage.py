"""Documents that PostgreSQL cannot look into."""

from dataclasses import replace
from typing import Any

import pytest
from tests.postgres.servers import Opener, event, new_job, running

from taxiway.jobs import Phase

pytestmark = pytest.mark.looptime(False)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(b"{", id="half a document"),
        pytest.param(b'{"phase":"\xff"}', id="bytes that are no text"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b"{}", id="no phase"),
    ],
)
async def test_a_damaged_document_hides_no_other(another: Opener, psql: Any, damage: bytes) -> None:
    """What is unfinished is counted, the one that cannot be read by itself; it is told of once."""
    notes: list[tuple[str, object]] = []
    store = await another(note=lambda name, **fields: notes.append((name, fields)))
    for number in (1, 2, 3):
        await store.create(event(new_job(number)))
    await store.record(event(running(new_job(3))))
    await psql.execute("UPDATE jobs SET document = $1 WHERE id = 'job_0001'", damage)

    counted = [await store.backlog(), await store.backlog()]

    expected = {None: (1, 1.0), Phase.QUEUED: (1, 2.0), Phase.PROVIDER_QUEUE: (1, 3.0)}
    assert [expected, expected] == counted
    assert [("store.unreadable", {"job_id": "job_0001"})] == notes


async def test_a_nul_in_a_prompt_is_no_damage(another: Opener) -> None:
    """PostgreSQL has no NUL in its text, JSON has: such a job is counted as any other."""
    notes: list[str] = []
    store = await another(note=lambda name, **_: notes.append(name))
    job = new_job(1)
    nul = replace(job, request=replace(job.request, prompt="A light\0house."))
    await store.create(event(nul))
    await store.create(event(new_job(2)))

    assert ({Phase.QUEUED: (2, 1.0)}, []) == (await store.backlog(), notes)


async def test_more_than_a_page_is_counted(another: Opener, psql: Any) -> None:
    """However many there are beside a damaged one."""
    store = await another()
    for number in (1, 2):
        await store.create(event(new_job(number)))
    await psql.execute(
        "INSERT INTO jobs (id, status, model, created_at, revision, document) "
        "SELECT 'job_9' || n, status, model, n % 7 + 3, revision, document "
        "FROM jobs, generate_series(1, 1200) AS n WHERE id = 'job_0002'"
    )
    await psql.execute("UPDATE jobs SET document = '{' WHERE id = 'job_0001'")

    assert {None: (1, 1.0), Phase.QUEUED: (1201, 2.0)} == await store.backlog()
