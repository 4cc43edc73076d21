"""Editing: images that come with a request, by form or by JSON, become the references of a generation."""

import base64
import io
import json
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import openai
import orjson
import pytest
from PIL import Image

from taxiway.sandbox import Sandbox
from taxiway.server.documents import job_document
from taxiway.settings import Deployment, Secret, Settings
from taxiway.store.documents import dump
from taxiway.store.memory import MemoryStore

MODEL = "runwayml/gen4_image"
PROMPT = "the same, at night"
EDITS = "/v1/images/edits"
PART = b'--x\r\nContent-Disposition: form-data; name="prompt"'


def picture(kind: str = "PNG", *, size: tuple[int, int] = (64, 48), seed: int = 1) -> bytes:
    """Return an image of noise: about three bytes per pixel as a PNG."""
    content = io.BytesIO()
    noise = random.Random(seed).randbytes(size[0] * size[1] * 3)
    Image.frombytes("RGB", size, noise).save(content, kind)
    return content.getvalue()


SMALL = picture()

#: Above what Runway advises to put into a request.
LARGE = picture(size=(1280, 960))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where images and files are kept."""
    return tmp_path / "images"


@pytest.fixture
def settings(settings: Settings, sandbox: Sandbox, folder: Path) -> Settings:
    """A service with an archive, and with one model that takes a mask."""
    masked = Deployment(
        id="ideogram_4_5-1",
        model_name="runwayml/ideogram_4_5",
        provider="runwayml",
        model="ideogram_4_5",
        api_key=Secret("key_of_the_tests"),
        api_base=sandbox.url,
    )
    return replace(
        settings,
        artifacts_url=folder.as_uri(),
        deployments=(*settings.deployments, masked),
    )


def form(*images: bytes, mask_file: bytes | None = None, **fields: Any) -> aiohttp.FormData:
    """Return OpenAI's form, as its SDK would fill it."""
    data = aiohttp.FormData(default_to_multipart=True)
    for name, value in {"model": MODEL, "prompt": PROMPT, **fields}.items():
        data.add_field(name, str(value))
    for number, image in enumerate(images):
        name = "image" if len(images) == 1 else "image[]"
        file = io.BytesIO(image)
        data.add_field(name, file, filename=f"{number}.png", content_type="image/png")
    if mask_file is not None:
        data.add_field("mask", mask_file, filename="mask.png", content_type="image/png")
    return data


async def send(
    client: aiohttp.ClientSession,
    data: aiohttp.FormData,
    *,
    path: str = EDITS,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Any]:
    """Post a form; return status and document."""
    async with client.post(path, data=data, headers=headers) as response:
        return response.status, await response.json()


def creates(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Return the bodies of the tasks that were asked for."""
    return [r.body for r in sandbox.requests if r.path == "/v1/text_to_image"]


def uploads(sandbox: Sandbox) -> list[tuple[str, int | None]]:
    """Return the requests for placeholders and the posts of files, with their answers."""
    return [
        ("form" if r.path.startswith("/storage/") else "placeholder", r.status)
        for r in sandbox.requests
        if "/uploads" in r.path
    ]


def kept(folder: Path) -> list[str]:
    """Return the names of the files in the archive."""
    return [path.name for path in folder.rglob("*.*")]


# The images


async def test_a_file_becomes_a_reference_image(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """A small file travels within the request to Runway, as a data URI of what its bytes are."""
    status, document = await send(client, form(SMALL, size="1280x720"))

    (body,) = creates(sandbox)
    encoded = base64.b64encode(SMALL).decode()
    assert (status, document["size"], len(document["data"])) == (200, "1280x720", 1)
    assert len(encoded) > 2_000  # longer than what the sandbox remembers of a string
    assert body["referenceImages"] == [
        {"uri": f"data:image/png;base64,{encoded[:42]}… ({len(encoded) + 22} characters)"}
    ]
    assert (body["promptText"], body["ratio"]) == (PROMPT, "1280:720")


async def test_several_files_keep_their_order(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """`image[]` may come several times, and the formats are told by the bytes, not by the names."""
    images = [picture(kind, size=(8, 8)) for kind in ("WEBP", "JPEG", "PNG")]
    status, _ = await send(client, form(*images))

    (body,) = creates(sandbox)
    assert status == 200
    assert [each["uri"].partition(";")[0] for each in body["referenceImages"]] == [
        *("data:image/webp", "data:image/jpeg", "data:image/png")
    ]


async def test_a_large_file_is_uploaded_before_the_task_is_bought(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Above 3.3 MB the file is uploaded, without the key, and the task refers to it."""
    status, _ = await send(client, form(LARGE, SMALL))

    (body,) = creates(sandbox)
    assert status == 200
    assert uploads(sandbox) == [("placeholder", 200), ("form", 204)]
    assert [each["uri"][:9] for each in body["referenceImages"]] == ["runway://", "data:imag"]
    assert sandbox.leaks == []


async def test_a_file_is_uploaded_once_for_all_tasks(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Two images are two tasks of this model, and a later request has the same file: one upload."""
    await send(client, form(LARGE, n=2))
    await send(client, form(LARGE, prompt="again"))

    uris = {each["uri"] for body in creates(sandbox) for each in body["referenceImages"]}
    assert (len(creates(sandbox)), len(uris)) == (3, 1)
    assert uploads(sandbox) == [("placeholder", 200), ("form", 204)]


async def test_an_upload_that_fails_is_repeated_with_a_new_placeholder(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """The storage may fail, the limit of uploads may be hit: it is tried again, and one task is bought."""
    sandbox.faults.add("form:500 times=1")
    sandbox.faults.add("upload:429 times=1")
    status, _ = await send(client, form(LARGE))

    assert status == 200
    assert uploads(sandbox) == [
        *(("placeholder", 429), ("placeholder", 200), ("form", 500)),
        *(("placeholder", 200), ("form", 204)),
    ]
    assert len(creates(sandbox)) == 1


async def test_without_an_upload_nothing_is_bought(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """A storage that takes nothing is an error of the provider, and no task was created for it."""
    sandbox.faults.add("form:500")
    status, document = await send(client, form(LARGE))

    assert (status, document["error"]["code"]) == (503, "no_deployment_available")
    assert creates(sandbox) == []


async def test_a_mask_goes_to_the_model_that_has_one(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """`mask` becomes Runway's `maskUri`, and the size is then that of the image."""
    data = form(SMALL, mask_file=picture(size=(8, 8)), model="runwayml/ideogram_4_5")
    status, _ = await send(client, data)

    (body,) = creates(sandbox)
    assert status == 200
    assert body["maskUri"].startswith("data:image/png;base64,")
    assert "ratio" not in body


async def test_addresses_are_references_too(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """JSON with OpenAI's `images`, and text in the place of a file, name images by their addresses."""
    address = "https://images.example/cat.png"
    body = {"model": MODEL, "prompt": PROMPT, "images": [{"image_url": address}]}
    async with client.post(EDITS, json=body) as response:
        by_json = response.status
    by_form, _ = await send(client, form(image=address))

    assert (by_json, by_form) == (200, 200)
    assert [each["referenceImages"] for each in creates(sandbox)] == [[{"uri": address}]] * 2


# The fields


@pytest.mark.parametrize(("word", "status"), [("true", 200), ("false", 400), ("yes", 400)])
async def test_a_form_may_let_fields_be_dropped(
    client: aiohttp.ClientSession, store: MemoryStore, word: str, status: int
) -> None:
    """`drop_params` is a truth value in a form too."""
    answered, document = await send(client, form(SMALL, style="natural", drop_params=word))

    job = await store.get(document.get("job_id", ""))
    assert answered == status
    assert (None if job is None else job.dropped) == (("style",) if status == 200 else None)


async def test_the_other_fields_are_those_of_a_generation(
    client: aiohttp.ClientSession, sandbox: Sandbox, store: MemoryStore
) -> None:
    """A form's numbers, truth values and objects mean what they mean in JSON."""
    data = form(
        SMALL,
        n=2,
        seed=7,
        user="u-1",
        background="auto",
        partial_images=2,
        input_fidelity="low",
        response_format="b64_json",
        reference_images=json.dumps([{"uri": "https://images.example/a.png", "tag": "cat"}]),
    )
    data.add_field("metadata[order]", "17")
    status, document = await send(client, data)

    job = await store.get(document["job_id"])
    assert job is not None
    assert status == 200
    assert [image["b64_json"][:4] for image in document["data"]] == ["iVBO", "iVBO"]
    assert {body["seed"] for body in creates(sandbox)} == {7}
    assert (job.request.n, job.request.user, job.request.metadata) == (2, "u-1", {"order": "17"})
    assert creates(sandbox)[0]["referenceImages"][1] == {
        "uri": "https://images.example/a.png",
        "tag": "cat",
    }


@pytest.mark.parametrize(
    ("images", "fields", "param", "code"),
    [
        pytest.param([], {}, "image", "missing_required_parameter", id="no image"),
        pytest.param([b""], {}, "image", "invalid_image", id="empty file"),
        pytest.param([b"GIF89a" + bytes(600)], {}, "image", "invalid_image", id="gif"),
        pytest.param([b"<svg></svg>"], {}, "image", "invalid_image", id="svg"),
        pytest.param([SMALL] * 4, {}, "image", "invalid_value", id="too many"),
        pytest.param([SMALL], {"n": "two"}, "n", "invalid_type", id="number"),
        pytest.param([SMALL], {"n": 11}, "n", "invalid_value", id="range"),
        pytest.param([SMALL], {"stream": "maybe"}, "stream", "invalid_type", id="truth value"),
        pytest.param([SMALL], {"prompt": " "}, "prompt", "missing_required_parameter", id="prompt"),
        pytest.param([SMALL], {"size": "7x7"}, "size", "invalid_size", id="size"),
        pytest.param([SMALL], {"model": "gpt-5"}, "model", "model_not_found", id="model"),
        pytest.param([SMALL], {"metadata": "[1]"}, "metadata", "invalid_type", id="object"),
        pytest.param([SMALL], {"colour": "red"}, "colour", "unsupported_parameter", id="unknown"),
        pytest.param(
            [SMALL],
            {"input_fidelity": "high"},
            "input_fidelity",
            "unsupported_parameter",
            id="fidelity",
        ),
        pytest.param(
            [SMALL], {"mask": "http://x.example/"}, "mask", "unsupported_parameter", id="mask"
        ),
        pytest.param(
            [], {"image": "ftp://x.example/"}, "image[0].uri", "invalid_value", id="address"
        ),
    ],
)
async def test_what_cannot_be_honoured_is_named(
    client: aiohttp.ClientSession,
    sandbox: Sandbox,
    folder: Path,
    images: list[bytes],
    fields: dict[str, Any],
    param: str,
    code: str,
) -> None:
    """A refusal is a 4xx that names the form's own field; nothing is kept, and nobody is asked."""
    status, document = await send(client, form(*images, **fields))

    error = document["error"]
    assert (status // 100, error["param"], error["code"]) == (4, param, code)
    assert kept(folder) == []
    assert len(sandbox.requests) == 0


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param("multipart/form-data", b"", id="no boundary"),
        pytest.param("multipart/form-data; boundary=x", b"--x\r\nnonsense", id="broken part"),
        pytest.param("multipart/form-data; boundary=x", b"nothing at all", id="no part"),
        pytest.param("multipart/form-data; boundary=x", PART + b"\r\n\r\nx", id="no end"),
        pytest.param(
            "multipart/form-data; boundary=x",
            PART + b"\r\nContent-Transfer-Encoding: odd\r\n\r\nx\r\n--x--\r\n",
            id="odd encoding",
        ),
    ],
)
async def test_a_form_that_is_broken_is_refused(
    client: aiohttp.ClientSession, content_type: str, body: bytes
) -> None:
    """What calls itself a form and is none is a 400 that says so."""
    headers = {"Content-Type": content_type}
    async with client.post(EDITS, data=body, headers=headers) as response:
        document = await response.json()

    assert response.status == 400
    assert document["error"]["type"] == "invalid_request_error"
    assert "multipart form" in document["error"]["message"]


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain"])
async def test_a_body_that_is_no_form_is_refused(
    client: aiohttp.ClientSession, content_type: str
) -> None:
    """What is neither a form nor JSON is a 400 that names both."""
    headers = {"Content-Type": content_type}
    async with client.post(EDITS, data=b"prompt=x", headers=headers) as response:
        document = await response.json()

    assert (response.status, document["error"]["code"]) == (400, "unsupported_content_type")
    assert "multipart/form-data" in document["error"]["message"]
    assert "application/json" in document["error"]["message"]


async def test_a_form_in_too_many_parts_is_not_called_too_large(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Thousands of tiny fields are refused for being so many, not for a size that they do not have."""
    fields = {f"metadata[k{number}]": "v" for number in range(1_500)}

    status, document = await send(client, form(SMALL, **fields))

    assert (status, document["error"]["code"]) == (400, "invalid_body")
    assert "parts" in document["error"]["message"]
    assert len(sandbox.requests) == 0


class TestSmallBodies:
    """A service that takes bodies of up to 100 KB."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, with a low limit."""
        return replace(settings, max_body_bytes=100_000)

    async def test_a_form_over_the_limit_is_refused(
        self, client: aiohttp.ClientSession, sandbox: Sandbox
    ) -> None:
        """A body larger than `max_body_mb` is a 413."""
        status, document = await send(client, form(LARGE))

        assert (status, document["error"]["code"]) == (413, "request_too_large")
        assert len(sandbox.requests) == 0


# The four ways of being answered


async def test_an_edit_streams_under_its_own_names(client: aiohttp.ClientSession) -> None:
    """`stream=true` sends `image_edit` events, to the image."""
    async with client.post(EDITS, data=form(SMALL, stream="true")) as response:
        lines = (await response.text()).splitlines()

    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    assert response.content_type == "text/event-stream"
    assert set(names[:-1]) == {"image_edit.progress"}
    assert names[-1] == "image_edit.completed"


async def test_an_edit_need_not_be_waited_for(client: aiohttp.ClientSession) -> None:
    """`Prefer: respond-async` answers 202 with the job, under every address of the route."""
    headers = {"Prefer": "respond-async"}
    answers = [
        await send(client, form(SMALL), path=path, headers=headers)
        for path in (EDITS, "/images/edits", f"/openai/deployments/{MODEL}/images/edits")
    ]

    assert [status for status, _ in answers] == [202, 202, 202]
    assert len({document["id"] for _, document in answers}) == 3


async def test_the_same_edit_under_the_same_key_is_one_job(
    client: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """An SDK draws a new boundary at each attempt: the fields and the files are what is compared."""
    headers = {"Idempotency-Key": "k1"}
    first = await send(client, form(SMALL), headers=headers)
    again = await send(client, form(SMALL), headers=headers)
    other = await send(client, form(picture(seed=2)), headers=headers)

    assert (first[0], first) == (200, again)
    assert (other[0], other[1]["error"]["code"]) == (422, "idempotency_conflict")
    assert len(creates(sandbox)) == 1


# Where the bytes are


async def test_a_job_does_not_carry_its_files(
    client: aiohttp.ClientSession, store: MemoryStore, folder: Path
) -> None:
    """The bytes are in the archive, under their digest; the stored job and its frames stay small."""
    _, document = await send(client, form(LARGE))
    job = await store.get(document["job_id"])

    assert job is not None
    (reference,) = job.request.references
    assert reference.asset is not None
    assert (folder / "references" / f"{reference.asset.digest}.png").read_bytes() == LARGE
    assert len(dump(job)) < 8_192
    assert len(orjson.dumps(job_document(job))) < 8_192


async def test_a_data_uri_in_json_is_a_file_as_well(
    client: aiohttp.ClientSession, sandbox: Sandbox, store: MemoryStore
) -> None:
    """`reference_images` with a long data URI is kept the same way, and uploaded where it is large."""
    uri = f"data:image/png;base64,{base64.b64encode(LARGE).decode()}"
    body = {"model": MODEL, "prompt": PROMPT, "reference_images": [{"uri": uri, "tag": "cat"}]}
    data = io.BytesIO(orjson.dumps(body))
    headers = {"Content-Type": "application/json"}
    async with client.post("/v1/images/generations", data=data, headers=headers) as response:
        document = await response.json()
    job = await store.get(document["job_id"])

    assert job is not None
    assert response.status == 200
    assert len(dump(job)) < 8_192
    assert [(each["uri"][:9], each["tag"]) for each in creates(sandbox)[0]["referenceImages"]] == [
        ("runway://", "cat")
    ]


class TestWithoutAnArchive:
    """A service that keeps nothing."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The settings, without an archive."""
        return replace(settings, artifacts_url="none")

    async def test_files_stay_in_the_job(
        self, client: aiohttp.ClientSession, sandbox: Sandbox, store: MemoryStore
    ) -> None:
        """Small and large files reach Runway all the same."""
        status, document = await send(client, form(LARGE, SMALL))
        job = await store.get(document["job_id"])

        assert job is not None
        assert status == 200
        assert uploads(sandbox) == [("placeholder", 200), ("form", 204)]
        assert [each.uri[:15] for each in job.request.references] == ["data:image/png;"] * 2


async def test_an_archive_that_fails_stops_no_edit(
    client: aiohttp.ClientSession, sandbox: Sandbox, folder: Path
) -> None:
    """While the archive takes no file, the job carries it."""
    (folder / "references").write_text("in the way")
    status, _ = await send(client, form(SMALL))

    assert status == 200
    assert len(creates(sandbox)) == 1


# OpenAI's own client


@pytest.fixture
async def sdk(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official client, pointed at the service."""
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any") as sdk:
        yield sdk


async def test_the_official_client_edits_a_file(
    sdk: openai.AsyncOpenAI, sandbox: Sandbox, tmp_path: Path
) -> None:
    """`images.edit` with an open file, base64 wanted, and a field of ours in `extra_body`."""
    path = tmp_path / "cat.png"
    path.write_bytes(SMALL)
    with path.open("rb") as file:
        result = await sdk.images.edit(
            model=MODEL,
            image=file,
            prompt=PROMPT,
            size="1024x1024",
            response_format="b64_json",
            extra_body={"seed": 7, "metadata": {"order": "17"}},
        )

    assert result.data is not None
    assert base64.b64decode(result.data[0].b64_json or "").startswith(b"\x89PNG")
    assert (creates(sandbox)[0]["seed"], creates(sandbox)[0]["ratio"]) == (7, "1024:1024")


async def test_the_official_client_edits_and_streams_several(sdk: openai.AsyncOpenAI) -> None:
    """`images.edit` with a list of files and `stream=True` yields progress and the image."""
    stream: Any = await sdk.images.edit(
        model=MODEL, image=[("a.png", SMALL), ("b.png", SMALL)], prompt=PROMPT, stream=True
    )
    events = [event async for event in stream]

    assert {event.type for event in events[:-1]} == {"image_edit.progress"}
    assert events[-1].type == "image_edit.completed"
    assert base64.b64decode(events[-1].b64_json).startswith(b"\x89PNG")


async def test_the_official_client_raises_what_is_refused(sdk: openai.AsyncOpenAI) -> None:
    """A mask for a model without one is a `BadRequestError` of one attempt."""
    with pytest.raises(openai.BadRequestError) as caught:
        await sdk.images.edit(model=MODEL, image=SMALL, mask=SMALL, prompt=PROMPT)

    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "mask")
