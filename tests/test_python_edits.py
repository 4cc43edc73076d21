"""Python: images made from other images in process, with files in every form that callers have them."""

import asyncio
import base64
import io
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import taxiway
from taxiway.sandbox import Sandbox, SandboxSettings

PROMPT = "the same, at night"
MODEL = "runwayml/gen4_image"


def picture(kind: str = "PNG", *, size: tuple[int, int] = (16, 12)) -> bytes:
    """Return an image of noise."""
    content = io.BytesIO()
    noise = random.Random(1).randbytes(size[0] * size[1] * 3)
    Image.frombytes("RGB", size, noise).save(content, kind)
    return content.getvalue()


SMALL = picture()
URI = f"data:image/png;base64,{base64.b64encode(SMALL).decode()}"


@pytest.fixture
async def runway() -> AsyncIterator[Sandbox]:
    """A Runway that needs a second."""
    async with Sandbox(
        SandboxSettings(duration_s=0.8, queue_s=0.1, progress_tick_s=0.1, pictures="plain")
    ) as sandbox:
        yield sandbox


async def edit(runway: Sandbox, image: Any, **fields: Any) -> taxiway.ImageResponse:
    """Edit at the sandbox."""
    return await taxiway.aimage_edit(
        image, PROMPT, fields.pop("model", MODEL), api_key="key_x", api_base=runway.url, **fields
    )


def bodies(runway: Sandbox) -> list[dict[str, Any]]:
    """Return the bodies of the tasks that were asked for."""
    return [r.body for r in runway.requests if r.path == "/v1/text_to_image"]


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(SMALL, id="bytes"),
        pytest.param(bytearray(SMALL), id="bytearray"),
        pytest.param(io.BytesIO(SMALL), id="open file"),
        pytest.param(("cat.png", SMALL), id="named bytes"),
        pytest.param(("cat.png", io.BytesIO(SMALL), "image/png"), id="named file"),
        pytest.param(URI, id="data URI"),
        pytest.param([SMALL], id="list"),
    ],
)
async def test_an_image_may_come_in_any_form(runway: Sandbox, image: Any) -> None:
    """Bytes, files, OpenAI's tuples and addresses become the same reference."""
    response = await edit(runway, image, size="1280x720")

    (body,) = bodies(runway)
    assert (len(response.data), response.size) == (1, "1280x720")
    assert body["referenceImages"] == [{"uri": URI}]


async def test_a_path_is_read(runway: Sandbox, tmp_path: Path) -> None:
    """A path stands for the file that it leads to."""
    path = tmp_path / "cat.png"
    path.write_bytes(SMALL)
    await edit(runway, path)

    assert bodies(runway)[0]["referenceImages"] == [{"uri": URI}]


async def test_several_images_come_before_further_references(runway: Sandbox) -> None:
    """A list is a list of images, and `reference_images` adds to it."""
    cat = {"uri": "https://images.example/cat.png", "tag": "cat"}
    await edit(runway, [SMALL, picture("WEBP")], reference_images=[cat], extra_body={"seed": 7})

    (body,) = bodies(runway)
    types = [each["uri"].partition(";")[0] for each in body["referenceImages"]]
    assert types == ["data:image/png", "data:image/webp", cat["uri"]]
    assert body["seed"] == 7


async def test_a_large_image_is_uploaded(runway: Sandbox) -> None:
    """What is too large for a request goes another way, without a server too."""
    await edit(runway, picture(size=(1280, 960)))

    (body,) = bodies(runway)
    assert body["referenceImages"][0]["uri"].startswith("runway://")
    assert runway.leaks == []


async def test_a_mask_goes_along(runway: Sandbox) -> None:
    """`mask` is Runway's `maskUri` on the model that has one."""
    await edit(runway, SMALL, mask=SMALL, model="runwayml/ideogram_4_5")

    assert bodies(runway)[0]["maskUri"] == URI


@pytest.mark.parametrize(
    ("image", "fields", "param", "code"),
    [
        pytest.param(b"GIF89a", {}, "image", "invalid_image", id="gif"),
        pytest.param("cat.png", {}, "image", "invalid_image", id="text"),
        pytest.param(None, {}, "image", "invalid_image", id="nothing"),
        pytest.param(io.StringIO("x"), {}, "image", "invalid_image", id="text file"),
        pytest.param([], {}, "image", "missing_required_parameter", id="empty list"),
        pytest.param(SMALL, {"mask": SMALL}, "mask", "unsupported_parameter", id="mask"),
        pytest.param(
            SMALL,
            {"extra_headers": {"a": "b"}},
            "extra_headers",
            "unsupported_parameter",
            id="headers",
        ),
    ],
)
async def test_what_cannot_be_honoured_is_named(
    runway: Sandbox, image: Any, fields: dict[str, Any], param: str, code: str
) -> None:
    """What is no image is a `BadRequestError`, and nobody is asked."""
    with pytest.raises(taxiway.BadRequestError) as caught:
        await edit(runway, image, **fields)

    assert (caught.value.param, caught.value.code) == (param, code)
    assert len(runway.requests) == 0


@pytest.mark.looptime(False)
async def test_the_synchronous_call_works_too(runway: Sandbox) -> None:
    """`image_edit` needs no loop."""

    def call() -> taxiway.ImageResponse:
        return taxiway.image_edit(
            SMALL,
            PROMPT,
            MODEL,
            response_format="b64_json",
            api_key="key_x",
            api_base=runway.url,
        )

    response = await asyncio.to_thread(call)

    assert (response.data[0].b64_json or "").startswith("iVBO")
    assert taxiway.completion_cost(completion_response=response) == 0.08
