"""Tokens for browsers: what `?token=` opens, and what it does not."""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from taxiway.errors import AuthenticationError
from taxiway.server.keys import CLOCK, TOKENS
from taxiway.server.tokens import Tokens
from taxiway.settings import Secret, Settings

KEY = "sk-master-canary"
RIGHT = {"Authorization": f"Bearer {KEY}"}
NOW = 1_795_445_754.25


def tokens(key: str | None = KEY, *, now: float = NOW) -> Tokens:
    """Return a maker of tokens at some date."""
    return Tokens(master_key=None if key is None else Secret(key), now=lambda: now)


# By themselves


def test_a_token_opens_the_jobs_it_was_made_for() -> None:
    """Any replica with the same master key reads it, and checks each job."""
    token = tokens().mint(["job_1", "job_2"], expires_at=int(NOW) + 60)

    grant = tokens().read(token)

    grant.check(["job_2"])
    grant.check(["job_1", "job_2"])
    assert int(NOW) + 60 == grant.expires_at
    with pytest.raises(AuthenticationError, match="not made for the job job_3"):
        grant.check(["job_1", "job_3"])


def _altered(token: str) -> str:
    claims, _, signature = token.partition(".")
    later = bytearray(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    later[5] += 1
    return f"{base64.urlsafe_b64encode(later).rstrip(b'=').decode()}.{signature}"


@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(lambda _: "", id="empty"),
        pytest.param(lambda _: ".", id="a dot"),
        pytest.param(lambda _: "ключ.ключ", id="not ASCII"),
        pytest.param(lambda token: token.partition(".")[0], id="unsigned"),
        pytest.param(lambda token: token[:-2], id="cut"),
        pytest.param(lambda token: token + "AA", id="longer"),
        pytest.param(_altered, id="a later date"),
    ],
)
def test_a_token_that_was_altered_opens_nothing(alter: Callable[[str], str]) -> None:
    """Whatever is done to it is found out, and nothing of it is believed."""
    token = alter(tokens().mint(["job_1"], expires_at=int(NOW) + 60))

    with pytest.raises(AuthenticationError) as caught:
        tokens().read(token)

    assert "invalid_token" == caught.value.code


@pytest.mark.parametrize(
    ("maker", "reader"),
    [
        pytest.param(KEY, "another", id="another master key"),
        pytest.param(None, None, id="no master key: another process"),
        pytest.param(KEY, None, id="the key is gone"),
    ],
)
def test_a_token_of_another_service_opens_nothing(maker: str | None, reader: str | None) -> None:
    """The key of tokens comes from the master key; without one, every process has its own."""
    token = tokens(maker).mint(["job_1"], expires_at=int(NOW) + 60)

    with pytest.raises(AuthenticationError):
        tokens(reader).read(token)


def test_a_token_ends() -> None:
    """From its date on it opens nothing, and says so."""
    token = tokens().mint(["job_1"], expires_at=int(NOW))

    with pytest.raises(AuthenticationError) as caught:
        tokens().read(token)

    assert "expired_token" == caught.value.code


@pytest.mark.parametrize(
    ("deadlines", "lifetime_s"),
    [
        pytest.param((), 60, id="all jobs are over"),
        pytest.param((NOW + 600,), 660, id="a new job"),
        pytest.param((NOW + 10, NOW + 300), 360, id="the last one counts"),
        pytest.param((NOW - 30,), 60, id="late"),
        pytest.param((NOW + 86_400,), 3_600, id="an hour is the most"),
    ],
)
def test_a_token_lives_as_long_as_its_jobs(deadlines: tuple[float, ...], lifetime_s: int) -> None:
    """A minute longer than the last deadline, so that the end is seen."""
    assert int(NOW + lifetime_s) == tokens().expiry(deadlines)


def test_a_token_for_a_hundred_jobs_fits_into_an_address() -> None:
    """With the hundred ids beside it: a request line may have 8,190 bytes."""
    ids = [f"job_{number:032x}" for number in range(100)]

    token = tokens().mint(ids, expires_at=int(NOW))

    assert len(f"GET /v1/jobs/events?ids={'%2C'.join(ids)}&token={token} HTTP/1.1") < 6_000


# At the door


class TestWithAMasterKey:
    """A service with a master key."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, with a master key."""
        return replace(settings, master_key=Secret(KEY))

    @pytest.fixture
    async def job_ids(self, client: aiohttp.ClientSession) -> list[str]:
        """Two jobs that have just been asked for."""
        return [await ask(client), await ask(client)]

    async def test_a_key_gets_a_token(
        self, client: aiohttp.ClientSession, app: web.Application, job_ids: list[str]
    ) -> None:
        """The answer has the token, its end, and the address to open; it is nobody's to keep."""
        async with client.post(f"/v1/jobs/{job_ids[0]}/token", headers=RIGHT) as response:
            document = await response.json()

        assert (200, "no-store") == (response.status, response.headers["Cache-Control"])
        assert {
            "object": "stream.token",
            "token": document["token"],
            "expires_at": document["expires_at"],
            "url": f"/v1/jobs/{job_ids[0]}/events?token={document['token']}",
        } == document
        assert pytest.approx(660, abs=2) == document["expires_at"] - app[CLOCK].now()

    async def test_an_event_source_needs_nothing_but_the_address(
        self, client: aiohttp.ClientSession, job_ids: list[str]
    ) -> None:
        """The job's stream opens without any header."""
        document = await token_for(client, job_ids[0])

        async with client.get(document["url"]) as response:
            first = await response.content.readline()

        assert (200, b"retry: ") == (response.status, first[:7])

    async def test_one_token_opens_the_stream_of_several_jobs(
        self, client: aiohttp.ClientSession, job_ids: list[str]
    ) -> None:
        """`POST /v1/jobs/token` with their ids, and the address shows them all."""
        async with client.post("/v1/jobs/token", json={"ids": job_ids}, headers=RIGHT) as response:
            document = await response.json()
        async with client.get(document["url"]) as stream:
            first = await stream.content.readline()

        assert (200, b"retry: ") == (stream.status, first[:7])
        assert document["url"].startswith(f"/v1/jobs/events?ids={','.join(job_ids)}&token=")

    @pytest.mark.parametrize(
        ("path", "code"),
        [
            pytest.param("/{other}/events?token={token}", "invalid_token", id="another job"),
            pytest.param("/events?ids={job},{other}&token={token}", "invalid_token", id="one more"),
            pytest.param("/{job}?token={token}", "missing_api_key", id="the job itself"),
            pytest.param("?token={token}", "missing_api_key", id="the list"),
            pytest.param("/{job}/images/0?token={token}", "missing_api_key", id="the image"),
            pytest.param("/{job}/events?token=", "invalid_token", id="an empty token"),
            pytest.param("/{job}/events", "missing_api_key", id="no token"),
        ],
    )
    async def test_a_token_opens_nothing_else(
        self, client: aiohttp.ClientSession, job_ids: list[str], path: str, code: str
    ) -> None:
        """Other jobs, and all routes but those of events, stay shut."""
        token = (await token_for(client, job_ids[0]))["token"]

        address = path.format(job=job_ids[0], other=job_ids[1], token=token)
        async with client.get(f"/v1/jobs{address}") as response:
            error = (await response.json())["error"]

        assert (401, code) == (response.status, error["code"])

    async def test_a_token_stops_nothing(
        self, client: aiohttp.ClientSession, job_ids: list[str]
    ) -> None:
        """A token is for reading: a cancellation needs the key."""
        token = (await token_for(client, job_ids[0]))["token"]

        async with client.post(f"/v1/jobs/{job_ids[0]}/cancel?token={token}") as response:
            assert 401 == response.status

    async def test_a_token_makes_no_token(
        self, client: aiohttp.ClientSession, job_ids: list[str]
    ) -> None:
        """Else it would live for ever."""
        token = (await token_for(client, job_ids[0]))["token"]

        async with client.post(f"/v1/jobs/{job_ids[0]}/token?token={token}") as response:
            assert 401 == response.status

    @pytest.mark.parametrize(
        ("headers", "token", "status"),
        [
            pytest.param(
                {"Authorization": "Bearer no"}, None, 401, id="a wrong key, a right token"
            ),
            pytest.param(RIGHT, "nonsense", 200, id="a right key, a wrong token"),
        ],
    )
    async def test_a_key_in_a_header_wins(
        self,
        client: aiohttp.ClientSession,
        job_ids: list[str],
        headers: dict[str, str],
        token: str | None,
        status: int,
    ) -> None:
        """Who shows a key is judged by the key."""
        token = token or (await token_for(client, job_ids[0]))["token"]

        address = f"/v1/jobs/{job_ids[0]}/events?token={token}"
        async with client.get(address, headers=headers) as response:
            assert status == response.status

    async def test_a_stream_ends_with_its_token(
        self, client: aiohttp.ClientSession, app: web.Application
    ) -> None:
        """At the token's end the stream ends cleanly, between two frames, and the address is dead."""
        job_id = await ask(client, prompt="a fox [[stuck:RUNNING]]")
        expires_at = int(app[CLOCK].now()) + 40
        token = app[TOKENS].mint([job_id], expires_at=expires_at)

        async with client.get(f"/v1/jobs/{job_id}/events?token={token}") as response:
            body = await response.read()
            ended_at = app[CLOCK].now()
        async with client.get(f"/v1/jobs/{job_id}/events?token={token}") as late:
            error = (await late.json())["error"]

        assert body.endswith((b"}\n\n", b":\n"))
        assert pytest.approx(expires_at + 0.5, abs=1.5) == ended_at
        assert (401, "expired_token") == (late.status, error["code"])

    async def test_no_token_is_logged(
        self,
        client: aiohttp.ClientSession,
        job_ids: list[str],
        log_lines: Callable[[], list[dict[str, Any]]],
    ) -> None:
        """The log has addresses without their queries."""
        document = await token_for(client, job_ids[0])
        async with client.get(document["url"]) as response:
            await response.content.readline()
        await asyncio.sleep(1.5)

        lines = str(log_lines())

        assert "/events" in lines
        assert document["token"] not in lines
        assert document["token"].partition(".")[0] not in lines

    async def test_an_unknown_job_has_no_token(self, client: aiohttp.ClientSession) -> None:
        """A token for nothing would promise something."""
        async with client.post("/v1/jobs/job_01/token", headers=RIGHT) as response:
            assert 404 == response.status

    @pytest.mark.parametrize(
        ("body", "code", "param"),
        [
            pytest.param({}, "missing_required_parameter", "ids", id="nothing"),
            pytest.param({"ids": []}, "invalid_value", "ids", id="none"),
            pytest.param({"ids": "job_1"}, "invalid_value", "ids", id="a text"),
            pytest.param({"ids": [1]}, "invalid_value", "ids", id="a number"),
            pytest.param({"ids": ["x"]}, "invalid_value", "ids", id="no job"),
            pytest.param({"ids": ["job_1", "job_1"]}, "invalid_value", "ids", id="twice"),
            pytest.param({"ids": ["job_1"], "ttl": 1}, "unsupported_parameter", "ttl", id="more"),
        ],
    )
    async def test_a_token_is_for_one_to_a_hundred_jobs(
        self, client: aiohttp.ClientSession, body: dict[str, Any], code: str, param: str
    ) -> None:
        """Anything else is a 400 that names the field."""
        async with client.post("/v1/jobs/token", json=body, headers=RIGHT) as response:
            error = (await response.json())["error"]

        assert (400, code, param) == (response.status, error["code"], error["param"])


async def test_without_a_master_key_a_token_is_not_looked_at(
    client: aiohttp.ClientSession,
) -> None:
    """Everybody is served, whatever they show; and there are tokens all the same, so pages need not care."""
    job_id = await ask(client)
    document = await token_for(client, job_id)

    async with client.get(document["url"]) as right:
        pass
    async with client.get(f"/v1/jobs/{job_id}/events?token=nonsense") as wrong:
        pass

    assert (200, 200) == (right.status, wrong.status)


class TestBehindAPublicAddress:
    """With a `public_url`."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings of a service that knows its own address."""
        return replace(settings, public_url="https://images.example")

    async def test_the_address_is_whole(self, client: aiohttp.ClientSession) -> None:
        """A page elsewhere can open it as it is."""
        job_id = await ask(client)

        document = await token_for(client, job_id)

        assert document["url"].startswith(f"https://images.example/v1/jobs/{job_id}/events?token=")


async def ask(client: aiohttp.ClientSession, **fields: Any) -> str:
    """Return the id of a job that was just asked for."""
    async with client.post(
        "/v1/images/generations",
        json={"model": "gen4", "prompt": "a fox", **fields},
        headers={**RIGHT, "Prefer": "respond-async"},
    ) as response:
        return str((await response.json())["id"])


async def token_for(client: aiohttp.ClientSession, job_id: str) -> dict[str, Any]:
    """Return the answer to the wish for a token."""
    async with client.post(f"/v1/jobs/{job_id}/token", headers=RIGHT) as response:
        document: dict[str, Any] = await response.json()
        return document
