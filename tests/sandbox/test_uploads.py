"""Uploads: a file that a task may refer to."""

import io
from typing import Any

import aiohttp
import pytest
from PIL import Image
from tests.sandbox.callers import Caller
from tests.sandbox.issues import bound, invalid, wanted
from tests.sandbox.references import png


async def test_an_upload_can_be_referred_to(caller: Caller, session: aiohttp.ClientSession) -> None:
    """A placeholder, one form with every field and the file last, then a runway:// URI."""
    asked = {"filename": "fox.png", "type": "ephemeral"}
    status, placeholder = await caller.ask("POST", "/v1/uploads", json=asked)
    form = aiohttp.FormData(placeholder["fields"])
    form.add_field("file", png(400, 300), filename="fox.png")
    async with session.post(placeholder["uploadUrl"], data=form) as response:
        stored = response.status
    urls = await caller.outputs(
        model="bria_fibo_edit_1_5",
        ratio="auto",
        referenceImages=[{"uri": placeholder["runwayUri"]}],
    )
    picture = Image.open(io.BytesIO((await caller.fetch(urls[0]))[2]))

    assert (status, stored) == (200, 204)
    assert sorted(placeholder) == ["fields", "runwayUri", "uploadUrl"]
    assert picture.size == (400, 300)


async def test_an_upload_needs_its_fields_and_a_proper_size(
    caller: Caller, session: aiohttp.ClientSession
) -> None:
    """Without the signed fields the storage says 403, and 400 for a file under 512 bytes."""
    asked = {"filename": "fox.png", "type": "ephemeral"}
    _, placeholder = await caller.ask("POST", "/v1/uploads", json=asked)
    statuses = []
    for fields, content in (({}, png(400, 300)), (placeholder["fields"], b"tiny")):
        form = aiohttp.FormData(fields)
        form.add_field("file", content, filename="fox.png")
        async with session.post(placeholder["uploadUrl"], data=form) as response:
            statuses.append(response.status)

    assert statuses == [403, 400]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        pytest.param({"json": {"file": "x"}}, 400, id="no form"),
        pytest.param(
            {"data": aiohttp.FormData({"a": "b"}, default_to_multipart=True)}, 400, id="no file"
        ),
    ],
)
async def test_an_upload_must_be_a_form_with_a_file(
    caller: Caller, session: aiohttp.ClientSession, options: dict[str, Any], status: int
) -> None:
    """Anything else is a 400, and a place that was never given out is a 403."""
    asked = {"filename": "fox.png", "type": "ephemeral"}
    _, placeholder = await caller.ask("POST", "/v1/uploads", json=asked)
    async with session.post(placeholder["uploadUrl"], **options) as response:
        assert response.status == status
    async with session.post(caller.url + "/storage/uploads/none") as response:
        assert response.status == 403


@pytest.mark.parametrize(
    ("body", "issues"),
    [
        pytest.param([], [wanted("object", "array")], id="no object"),
        pytest.param(
            {"type": "ephemeral"}, [wanted("string", "undefined", "filename")], id="no name"
        ),
        pytest.param(
            {"type": "ephemeral", "filename": "a"},
            [bound("too_small", "string", 3, "filename")],
            id="short name",
        ),
        pytest.param(
            {"type": "ephemeral", "filename": "a" * 256 + ".png"},
            [bound("too_big", "string", 255, "filename")],
            id="long name",
        ),
    ],
)
async def test_an_upload_request_is_checked(caller: Caller, body: Any, issues: list[Any]) -> None:
    """The body that asks for a place is refused like any other."""
    assert await caller.ask("POST", "/v1/uploads", json=body) == invalid(*issues)


async def test_an_upload_names_a_media_file(caller: Caller) -> None:
    """The name must end like a picture's, and the type is always ephemeral."""
    _, answer = await caller.ask("POST", "/v1/uploads", json={"filename": "notes.txt"})

    assert [issue["path"] for issue in answer["issues"]] == [["filename"], ["type"]]
