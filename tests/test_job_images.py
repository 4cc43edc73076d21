"""Fetching: an image's bytes by its job, after the provider's address has expired too, by key or by link."""

import asyncio
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import orjson
import pytest
from PIL import Image as Pillow

from taxiway.errors import PermissionDeniedError
from taxiway.jobs import Image
from taxiway.logs import Logs
from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.server import create_app
from taxiway.server.links import DAY_S, Links
from taxiway.server.ranges import read_range
from taxiway.server.running import listening
from taxiway.settings import Secret, Settings

MODEL = "runwayml/gen4_image"
PROMPT = "a lighthouse in the fog"
GENERATIONS = "/v1/images/generations"
PUBLIC = "https://images.example.com/taxiway"


@pytest.fixture
def sandbox_settings(sandbox_settings: SandboxSettings) -> SandboxSettings:
    """A Runway whose addresses are good for a minute."""
    return replace(sandbox_settings, url_ttl_s=60.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the images are kept."""
    return tmp_path / "images"


@pytest.fixture
def settings(settings: Settings, folder: Path) -> Settings:
    """A service that keeps its images."""
    return replace(settings, artifacts_url=folder.as_uri())


class Answer:
    """An answer that was read."""

    def __init__(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        self.status, self.headers, self.body = response.status, response.headers, body

    @property
    def code(self) -> str:
        """The code of its error."""
        return str(orjson.loads(self.body)["error"]["code"])


async def fetch(
    client: aiohttp.ClientSession, url: str, *, method: str = "GET", **headers: str
) -> Answer:
    """Send a request without a body; underscores in a header's name stand for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.request(method, url, headers=named) as response:
        return Answer(response, await response.read())


async def ask(client: aiohttp.ClientSession, prompt: str = PROMPT, **fields: Any) -> Any:
    """Ask for an image, wait for it, and return the job."""
    headers = fields.pop("headers", None)
    body = {"model": MODEL, "prompt": prompt, **fields}
    async with client.post(GENERATIONS, json=body, headers=headers) as response:
        job_id = response.headers["x-taxiway-job-id"]
    async with client.get(f"/v1/jobs/{job_id}", headers=headers) as response:
        return await response.json()


def own(job: Any, index: int = 0) -> str:
    """Return the path of an image."""
    return f"/v1/jobs/{job['id']}/images/{index}"


# The bytes


async def test_an_image_comes_with_all_that_a_cache_wants(client: aiohttp.ClientSession) -> None:
    """Type, length, name and version are told, and that nothing in it may run."""
    job = await ask(client, size="1280x720")
    answer = await fetch(client, own(job))

    wanted = ("Content-Type", "Content-Length", "Content-Disposition", "Accept-Ranges")
    assert answer.status == 200
    assert Pillow.open(io.BytesIO(answer.body)).size == (1280, 720)
    assert [answer.headers[name] for name in wanted] == [
        *("image/png", str(len(answer.body))),
        *(f'inline; filename="{job["id"]}-0.png"', "bytes"),
    ]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "private, max-age=86400, immutable"
    assert answer.headers["ETag"][0] == answer.headers["ETag"][-1] == '"'
    assert answer.headers["Last-Modified"].endswith(" GMT")
    assert answer.headers["Content-Location"] == own(job)
    assert answer.headers["x-taxiway-job-id"] == job["id"]


async def test_a_head_tells_the_same_without_the_bytes(client: aiohttp.ClientSession) -> None:
    """HEAD has the headers of GET, and no body."""
    job = await ask(client)
    whole, head = [await fetch(client, own(job), method=m) for m in ("GET", "HEAD")]

    same = ("Content-Type", "Content-Length", "ETag", "Last-Modified", "Accept-Ranges")
    assert (head.status, head.body) == (200, b"")
    assert [head.headers[n] for n in same] == [whole.headers[n] for n in same]


async def test_every_image_of_a_job_has_its_address(client: aiohttp.ClientSession) -> None:
    """Two images have two addresses; a third one is a 404."""
    job = await ask(client, n=2)
    answers = [await fetch(client, own(job, index)) for index in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 404]
    assert answers[2].code == "image_not_found"


async def test_a_vector_image_can_run_nothing(client: aiohttp.ClientSession) -> None:
    """An SVG is served in a sandbox without scripts and without a net."""
    job = await ask(client, model="runwayml/recraft_v4_1_vector")
    answer = await fetch(client, own(job))

    policy = answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_an_unknown_job_has_no_images(client: aiohttp.ClientSession) -> None:
    """The image of a job that does not exist is a 404 like the job itself."""
    answer = await fetch(client, "/v1/jobs/job_0/images/0")

    assert (answer.status, answer.code) == (404, "job_not_found")


async def test_an_unfinished_job_has_none_yet(client: aiohttp.ClientSession) -> None:
    """Before it is made, an image is a 404."""
    headers = {"Prefer": "respond-async"}
    body = {"model": MODEL, "prompt": PROMPT}
    async with client.post(GENERATIONS, json=body, headers=headers) as response:
        job = await response.json()
    answer = await fetch(client, own(job))

    assert (answer.status, answer.code) == (404, "image_not_found")


# Versions and parts


async def test_a_version_that_is_known_is_not_sent_again(client: aiohttp.ClientSession) -> None:
    """`If-None-Match` and `If-Modified-Since` are answered with 304 while they hold."""
    job = await ask(client)
    first = await fetch(client, own(job))
    etag, date = first.headers["ETag"], first.headers["Last-Modified"]
    answers = [
        await fetch(client, own(job), If_None_Match=etag),
        await fetch(client, own(job), If_None_Match=f'"other", W/{etag}'),
        await fetch(client, own(job), If_None_Match='"other"', If_Modified_Since=date),
        await fetch(client, own(job), If_Modified_Since=date),
        await fetch(client, own(job), If_Modified_Since="Thu, 01 Jan 1970 00:00:00 GMT"),
        await fetch(client, own(job), If_Modified_Since="yesterday"),
    ]

    assert [answer.status for answer in answers] == [304, 304, 200, 304, 200, 200]
    assert (answers[0].body, answers[0].headers["ETag"]) == (b"", etag)


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        pytest.param("bytes=0-9", range(10), id="first ten"),
        pytest.param("bytes=90-", range(90, 100), id="from there"),
        pytest.param("bytes=-10", range(90, 100), id="last ten"),
        pytest.param("bytes=-1000", range(100), id="more than there is"),
        pytest.param("bytes=50-1000", range(50, 100), id="beyond the end"),
        pytest.param("bytes=0-0", range(1), id="one byte"),
        pytest.param("bytes=100-", range(100, 100), id="behind the end"),
        pytest.param("bytes=-0", range(100, 100), id="nothing at the end"),
        pytest.param("bytes=9-5", None, id="backwards"),
        pytest.param("bytes=-", None, id="neither"),
        pytest.param("bytes=0-4,6-9", None, id="several"),
        pytest.param("pages=1-2", None, id="another unit"),
        pytest.param("bytes=a-b", None, id="letters"),
        pytest.param(None, None, id="none"),
    ],
)
def test_a_range_is_read(asked: str | None, part: range | None) -> None:
    """One range of bytes is understood; whatever else is asked for is the whole."""
    found = read_range(asked, 100)

    assert (None if found is None else list(found)) == (None if part is None else list(part))


async def test_a_part_is_sent(client: aiohttp.ClientSession) -> None:
    """A range is a 206 with the bytes it names; behind the end there is a 416."""
    job = await ask(client)
    whole = (await fetch(client, own(job))).body
    part = await fetch(client, own(job), Range="bytes=10-19")
    tail = await fetch(client, own(job), Range="bytes=-7")
    behind = await fetch(client, own(job), Range=f"bytes={len(whole)}-")

    assert (part.status, part.body) == (206, whole[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(whole)}"
    assert (tail.status, tail.body) == (206, whole[-7:])
    assert (behind.status, behind.code) == (416, "range_not_satisfiable")
    assert behind.headers["Content-Range"] == f"bytes */{len(whole)}"


async def test_a_part_of_another_version_is_not_sent(client: aiohttp.ClientSession) -> None:
    """`If-Range` with another version brings the whole."""
    job = await ask(client)
    etag = (await fetch(client, own(job))).headers["ETag"]
    answers = [
        await fetch(client, own(job), Range="bytes=0-9", If_Range=etag),
        await fetch(client, own(job), Range="bytes=0-9", If_Range='"other"'),
    ]

    assert [answer.status for answer in answers] == [206, 200]


# After the address has expired


async def test_an_archived_image_outlives_its_address(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """When Runway's address is refused, ours still has the image, and Runway is not asked for it."""
    job = await ask(client)
    await asyncio.sleep(120)
    async with aiohttp.ClientSession() as session, session.get(job["images"][0]["url"]) as response:
        expired = response.status
    before = len(sandbox.requests)
    answer = await fetch(client, own(job))

    assert (expired, answer.status) == (401, 200)
    assert len(sandbox.requests) == before
    assert len(sandbox.tasks) == 1


async def test_a_file_that_was_lost_comes_from_the_provider(
    client: aiohttp.ClientSession, folder: Path, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    """An image that is missing in the archive is fetched where it was made, and the log says so."""
    job = await ask(client)
    kept = await fetch(client, own(job))
    for path in [*folder.rglob("0.png")]:  # noqa: ASYNC240
        path.unlink()
    answer = await fetch(client, own(job))
    part = await fetch(client, own(job), Range="bytes=0-9")

    assert (answer.status, answer.body) == (200, kept.body)
    assert (part.status, part.code) == (502, "image_unavailable")
    assert "archive.failed" in {line["event"] for line in log_lines()}


class TestWithoutAnArchive:
    """A service that keeps nothing."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, without an archive, and with an address of our own."""
        return replace(settings, artifacts_url="none", public_url=PUBLIC)

    async def test_an_image_comes_from_the_provider(self, client: aiohttp.ClientSession) -> None:
        """The bytes are passed on with their length, and kept by nobody on the way."""
        job = await ask(client)
        answer = await fetch(client, own(job), Range="bytes=0-9")

        assert answer.status == 200
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.headers["Content-Length"] == str(len(answer.body))
        assert answer.headers["Cache-Control"] == "no-store"
        assert "ETag" not in answer.headers

    async def test_its_address_stays_the_provider_s(
        self, client: aiohttp.ClientSession, sandbox: Sandbox
    ) -> None:
        """What is not archived is not promised either."""
        job = await ask(client)

        assert job["images"][0]["url"].startswith(sandbox.url)

    async def test_an_expired_address_is_replaced_by_a_fresh_one(
        self, client: aiohttp.ClientSession, sandbox: Sandbox
    ) -> None:
        """The task is read once more, and gives an address that is good; nothing is bought."""
        job = await ask(client, n=2)
        await asyncio.sleep(120)
        answers = [await fetch(client, own(job, index)) for index in (0, 1)]

        assert [answer.status for answer in answers] == [200, 200]
        assert len(sandbox.tasks) == 2

    async def test_base64_comes_after_the_address_has_expired(
        self, client: aiohttp.ClientSession
    ) -> None:
        """A finished request asked again for its bytes gets them."""
        headers = {"Idempotency-Key": "k"}
        await ask(client, headers=headers)
        await asyncio.sleep(120)
        body = {"model": MODEL, "prompt": PROMPT, "response_format": "b64_json"}
        async with client.post(GENERATIONS, json=body, headers=headers) as response:
            document = await response.json()

        assert document["data"][0]["b64_json"].startswith("iVBO")

    async def test_an_image_that_is_gone_is_a_404(
        self, client: aiohttp.ClientSession, sandbox: Sandbox
    ) -> None:
        """When the task was deleted at Runway, nobody has the image any more."""
        job = await ask(client)
        url = f"{sandbox.url}/v1/tasks/{job['attempts'][0]['upstream_id']}"
        headers = {"Authorization": "Bearer key_of_the_tests", "X-Runway-Version": "2024-11-06"}
        async with aiohttp.ClientSession() as session, session.delete(url, headers=headers):
            pass
        answer = await fetch(client, own(job))

        assert (answer.status, answer.code) == (404, "image_gone")

    async def test_an_image_that_cannot_be_fetched_now_is_a_502(
        self, client: aiohttp.ClientSession, sandbox: Sandbox
    ) -> None:
        """While Runway's storage fails, so does this; later it is there."""
        job = await ask(client)
        number = sandbox.faults.add("output:500")
        failed = await fetch(client, own(job))
        sandbox.faults.remove(number)
        answer = await fetch(client, own(job))

        assert (failed.status, failed.code) == (502, "image_unavailable")
        assert answer.status == 200


# Who may see it


class TestWithAKey:
    """A service with a master key and an address of its own."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, with both."""
        return replace(settings, master_key=Secret("sk-right"), public_url=PUBLIC)

    async def test_the_key_opens_an_image(self, client: aiohttp.ClientSession) -> None:
        """An image is for those who may see its job."""
        key = {"Authorization": "Bearer sk-right"}
        job = await ask(client, headers=key)
        answers = [
            await fetch(client, own(job), **key),
            await fetch(client, own(job), Authorization="Bearer sk-wrong"),
            await fetch(client, own(job)),
        ]

        assert [answer.status for answer in answers] == [200, 401, 401]

    async def test_a_link_opens_one_image_without_a_key(
        self, client: aiohttp.ClientSession
    ) -> None:
        """The address in the job is ours, signed, and opens this image and no other."""
        job = await ask(client, headers={"Authorization": "Bearer sk-right"}, n=2)
        links = [image["url"] for image in job["images"]]
        paths = [link.removeprefix(PUBLIC) for link in links]
        query = paths[0].partition("?")[2]
        answers = [
            await fetch(client, paths[0]),
            await fetch(client, paths[0], method="HEAD"),
            await fetch(client, paths[0], Range="bytes=0-9"),
            await fetch(client, f"{own(job, 1)}?{query}"),
            await fetch(client, f"{own(job)}?{query}x"),
            await fetch(client, f"/v1/jobs/{job['id']}?{query}"),
        ]

        assert all(link.startswith(f"{PUBLIC}{own(job, i)}?") for i, link in enumerate(links))
        assert [answer.status for answer in answers] == [200, 200, 206, 403, 403, 401]
        assert answers[3].code == answers[4].code == "invalid_link"

    async def test_the_link_is_the_same_wherever_it_is_told(
        self, client: aiohttp.ClientSession
    ) -> None:
        """Answer, stream, job, list and events tell one address."""
        key = {"Authorization": "Bearer sk-right"}
        body = {"model": MODEL, "prompt": PROMPT}
        async with client.post(GENERATIONS, json=body, headers=key) as response:
            answered = await response.json()
        job_id, url = answered["job_id"], answered["data"][0]["url"]
        told = []
        for path in (f"/v1/jobs/{job_id}", "/v1/jobs", f"/v1/jobs/{job_id}/events"):
            answer = await fetch(client, path, **key)
            told.append(url in answer.body.decode())
        async with client.post(GENERATIONS, json={**body, "stream": True}, headers=key) as response:
            stream = await response.text()

        assert told == [True, True, True]
        assert f'"url":"{PUBLIC}/v1/jobs/' in stream

    async def test_a_link_never_reaches_the_log(
        self, client: aiohttp.ClientSession, log_lines: Callable[[], list[dict[str, Any]]]
    ) -> None:
        """Signatures are keys for a day: the log has paths without their queries."""
        job = await ask(client, headers={"Authorization": "Bearer sk-right"})
        await fetch(client, job["images"][0]["url"].removeprefix(PUBLIC))

        assert "sig=" not in str(log_lines())


IMAGE = Image(
    index=0, attempt=0, url="https://runway", size=None, content_type="image/png", archived="x"
)


def links(now: float = 0.0, *, key: str | None = "sk-right", url: str | None = PUBLIC) -> Links:
    """Return the links of a service at some time."""
    return Links(public_url=url, master_key=Secret(key) if key else None, now=lambda: now)


class SomeJob:
    """As much of a job as a link needs."""

    id = "job_1"


def parts(link: str) -> tuple[str, dict[str, str]]:
    """Return the path of a link at the service, and its query."""
    split = urlsplit(link)
    query = {name: values[0] for name, values in parse_qs(split.query).items()}
    return split.path.removeprefix("/taxiway"), query


JOB: Any = SomeJob()


def test_a_link_is_good_for_a_day_at_least_and_two_at_most() -> None:
    """It stays the same for a day, and ends with the day after."""
    made = {links(t).url(JOB, IMAGE) for t in (0.0, 3_600.0, DAY_S - 1)}
    (link,) = made
    path, query = parts(link)
    late = links(2 * DAY_S)

    assert links(2 * DAY_S - 1).admit(path, query)
    assert links(DAY_S).url(JOB, IMAGE) != link
    with pytest.raises(PermissionDeniedError) as caught:
        late.admit(path, query)
    assert caught.value.code == "link_expired"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"exp": "999999999999"}, id="longer"),
        pytest.param({"exp": ""}, id="no end"),
        pytest.param({"exp": "soon"}, id="no date"),
        pytest.param({"sig": ""}, id="no signature"),
        pytest.param({"sig": "\udcff"}, id="no text"),
    ],
)
def test_a_link_that_was_changed_is_refused(change: dict[str, str]) -> None:
    """Neither its end nor its signature can be made up."""
    path, query = parts(links().url(JOB, IMAGE))

    with pytest.raises(PermissionDeniedError) as caught:
        links().admit(path, query | change)
    assert caught.value.code == "invalid_link"


def test_replicas_know_each_other_s_links_by_their_master_key() -> None:
    """The same master key makes the same links; another one does not know them."""
    path, query = parts(links().url(JOB, IMAGE))

    assert links().admit(path, query)
    with pytest.raises(PermissionDeniedError):
        links(key="sk-other").admit(path, query)


def test_without_a_key_links_need_no_signature() -> None:
    """Where everybody is served, an address is enough."""
    assert links(key=None).url(JOB, IMAGE) == f"{PUBLIC}/v1/jobs/job_1/images/0"
    assert links(url=None).url(JOB, IMAGE) == "https://runway"
    assert links().url(JOB, replace(IMAGE, archived=None)) == "https://runway"


# After a restart


@pytest.mark.looptime(False)
class TestAfterARestart:
    """Two processes, one after the other, on one SQLite file and the folder beside it, in real time."""

    @pytest.fixture
    def sandbox_settings(self, sandbox_settings: SandboxSettings) -> SandboxSettings:
        """A Runway that needs half a second, and whose addresses are good for one."""
        return replace(sandbox_settings, duration_s=0.4, queue_s=0.1, url_ttl_s=1.0)

    @pytest.fixture
    def settings(self, settings: Settings, tmp_path: Path) -> Settings:
        """The settings, with a database file, the default archive, and a quick look."""
        return replace(
            settings,
            artifacts_url=None,
            database_url=f"sqlite:///{tmp_path}/jobs.db",
            poll_interval_s=0.2,
        )

    async def test_an_image_is_served_by_the_next_process(
        self, settings: Settings, sandbox: Sandbox, logs: Logs, tmp_path: Path
    ) -> None:
        """After a restart, and after Runway's address has expired, the image is there, from beside the file."""
        apps = [create_app(settings, logs=logs) for _ in range(2)]
        async with (
            listening(apps[0], host="127.0.0.1", port=0) as url,
            aiohttp.ClientSession(url) as client,
        ):
            job = await ask(client)
            first = await fetch(client, own(job))
        await asyncio.sleep(1.2)
        async with (
            listening(apps[1], host="127.0.0.1", port=0) as url,
            aiohttp.ClientSession(url) as client,
        ):
            second = await fetch(client, own(job))

        assert (first.status, second.status, second.body) == (200, 200, first.body)
        assert [p.name for p in tmp_path.glob("jobs-images/*/*/*")] == ["0.png"]  # noqa: ASYNC240
        assert len(sandbox.tasks) == 1
