"""Who is let in, and what is refused before a body is read."""

from typing import Any

import aiohttp
import pytest
from tests.sandbox.callers import BODY, DOC_URL, HEADERS, Caller, Start


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, (401, {"error": "Unauthorized"}), id="no key"),
        pytest.param(
            {"Authorization": "Basic abc"}, (401, {"error": "Unauthorized"}), id="no bearer"
        ),
        pytest.param(
            {"Authorization": "Bearer "}, (401, {"error": "Unauthorized"}), id="empty key"
        ),
        pytest.param(
            {"Authorization": "Bearer key"},
            (
                400,
                {
                    "error": "The X-Runway-Version header was not provided in the request",
                    "docUrl": DOC_URL,
                },
            ),
            id="no version",
        ),
        pytest.param(
            {"Authorization": "Bearer key", "X-Runway-Version": "2025-01-01"},
            (
                400,
                {
                    "error": "The API version that was provided in the X-Runway-Version header "
                    "is not valid.",
                    "docUrl": DOC_URL,
                },
            ),
            id="wrong version",
        ),
    ],
)
async def test_every_call_needs_a_key_and_then_a_version(
    caller: Caller, method: str, headers: dict[str, str], expected: tuple[int, Any]
) -> None:
    """The key is looked at before the version, and both before the body or the id."""
    path = "/v1/text_to_image" if method == "POST" else "/v1/tasks/none"

    assert await caller.ask(method, path, headers=headers) == expected


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/organization"), ("POST", "/v1/organization/usage"), ("POST", "/v1/uploads")],
)
async def test_the_other_routes_have_the_same_door(caller: Caller, method: str, path: str) -> None:
    """Account and uploads want a key as well."""
    assert await caller.ask(method, path, headers={}) == (401, {"error": "Unauthorized"})


async def test_a_list_of_keys_shuts_out_all_others(start: Start) -> None:
    """With `api_keys`, only those are let in."""
    _, caller = await start(api_keys=("key_a",))
    known = HEADERS | {"Authorization": "Bearer key_a"}

    assert (await caller.ask("GET", "/v1/organization"))[0] == 401
    assert (await caller.ask("GET", "/v1/organization", headers=known))[0] == 200


async def test_strict_keys_must_have_the_vendors_form(start: Start) -> None:
    """With `strict_keys`, a key is `key_` and 128 hexadecimal digits."""
    _, caller = await start(strict_keys=True)
    proper = HEADERS | {"Authorization": "Bearer key_" + "0a" * 64}

    assert (await caller.ask("GET", "/v1/organization"))[0] == 401
    assert (await caller.ask("GET", "/v1/organization", headers=proper))[0] == 200


async def test_some_accounts_must_name_their_end_user(start: Start) -> None:
    """With `require_on_behalf_of`, a create without the header is a 400."""
    _, caller = await start(require_on_behalf_of=True)
    named = HEADERS | {"X-Runway-On-Behalf-Of": "user-1"}
    text = "X-Runway-On-Behalf-Of request header was not specified for task creation"

    assert await caller.ask("POST", "/v1/text_to_image", json=BODY) == (400, {"error": text})
    assert (await caller.ask("POST", "/v1/text_to_image", json=BODY, headers=named))[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/v1/text_to_image", 405, id="GET on create"),
        pytest.param("POST", "/v1/tasks/abc", 405, id="POST on a task"),
        pytest.param("DELETE", "/v1/organization", 405, id="DELETE on the organization"),
        pytest.param("GET", "/v1/nothing", 404, id="no such route"),
    ],
)
async def test_wrong_methods_and_routes_are_refused_in_json(
    caller: Caller, method: str, path: str, status: int
) -> None:
    """A wrong method is a 405, an unknown path a 404."""
    answer = await caller.ask(method, path)

    assert answer[0] == status
    assert list(answer[1]) == ["error"]


async def test_answers_carry_the_gateways_headers(
    caller: Caller, session: aiohttp.ClientSession
) -> None:
    """Each answer is JSON in UTF-8 with a request id of its own."""
    heads = []
    for _ in range(2):
        async with session.get(caller.url + "/v1/organization", headers=HEADERS) as response:
            heads.append(response.headers)

    assert {head["Content-Type"] for head in heads} == {"application/json; charset=utf-8"}
    assert len({head["apigw-requestid"] for head in heads}) == 2
    assert {head["x-powered-by"] for head in heads} == {"Express"}


async def test_a_body_beyond_the_limit_is_a_413(start: Start) -> None:
    """The gateway refuses long bodies before anybody reads them."""
    _, caller = await start(max_body_bytes=1_000)
    long = BODY | {"promptText": "x" * 2_000}

    answer = await caller.ask("POST", "/v1/text_to_image", json=long)

    assert answer == (413, {"message": "Request Too Long"})
