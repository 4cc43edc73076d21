"""The pictures: real ones, of the order's type and pixels, at addresses that expire."""

import asyncio
import io
from typing import Any

import aiohttp
import pytest
from PIL import Image
from tests.sandbox.callers import (
    HEADERS,
    Caller,
    Start,
)


@pytest.mark.parametrize(
    ("changes", "kind", "size"),
    [
        pytest.param({}, "PNG", (1920, 1080), id="gen4"),
        pytest.param(
            {"model": "gemini_image3.1_flash", "ratio": "11264:1408"},
            "PNG",
            (11264, 1408),
            id="very wide",
        ),
        pytest.param(
            {"model": "gemini_image3.1_flash", "ratio": "176:1408"}, "PNG", (176, 1408), id="narrow"
        ),
        pytest.param(
            {"model": "muse_image", "ratio": "1344:1792", "outputFormat": "jpeg"},
            "JPEG",
            (1344, 1792),
            id="jpeg",
        ),
        pytest.param(
            {"model": "recraft_v4_1_flash", "ratio": "1024:1024"}, "WEBP", (1024, 1024), id="webp"
        ),
        pytest.param({"model": "muse_image", "ratio": "auto"}, "PNG", (1600, 1600), id="auto"),
        pytest.param({"model": "seedream5_pro", "ratio": "auto_2k"}, "PNG", (2048, 2048), id="2k"),
    ],
)
async def test_a_picture_has_the_type_and_the_pixels_of_the_order(
    caller: Caller, changes: dict[str, Any], kind: str, size: tuple[int, int]
) -> None:
    """The file decodes to exactly the ratio's size; what the model chooses is a fixed size."""
    (url,) = await caller.outputs(**changes)
    status, content_type, content = await caller.fetch(url)
    picture = Image.open(io.BytesIO(content))
    picture.load()

    assert (status, content_type) == (200, f"image/{kind.lower()}")
    assert (picture.format, picture.size) == (kind, size)


@pytest.mark.parametrize(
    "prompt",
    [
        "a red fox in the forest at dawn",
        "a ship on the sea at sunset",
        "mountains under the stars",
        "camels in the desert",
        "a robot in a neon city",
        "sheep on a misty hill",
        "\N{CJK UNIFIED IDEOGRAPH-72D0}\N{FOX FACE}",
        "a very long prompt, " * 40,
        "w" * 900,
    ],
)
async def test_every_prompt_makes_a_picture_of_moderate_size(caller: Caller, prompt: str) -> None:
    """Whatever the land, the hour and the letters, a full HD PNG stays below 600 kB."""
    (url,) = await caller.outputs(promptText=prompt)
    content = (await caller.fetch(url))[2]

    assert Image.open(io.BytesIO(content)).size == (1920, 1080)
    assert 20_000 < len(content) < 600_000


async def test_a_picture_fetched_at_the_same_time_is_drawn_once(caller: Caller) -> None:
    """Many viewers of one picture get the very same bytes."""
    (url,) = await caller.outputs(promptText="one for all")
    fetched = await asyncio.gather(*(caller.fetch(url) for _ in range(5)))

    assert len({content for _, _, content in fetched}) == 1


async def test_the_vector_model_makes_svg(caller: Caller) -> None:
    """recraft_v4_1_vector answers with a drawing whose text cannot break out of it."""
    (url,) = await caller.outputs(
        model="recraft_v4_1_vector", ratio="1344:768", promptText="a <script> & a fox"
    )
    _, content_type, content = await caller.fetch(url)

    assert content_type == "image/svg+xml"
    assert content.startswith(b'<svg xmlns="http://www.w3.org/2000/svg" width="1344" height="768"')
    assert b"a &lt;script&gt; &amp; a fox" in content


async def test_a_transparent_background_has_alpha(caller: Caller) -> None:
    """`background: transparent` gives a PNG whose sky is not there."""
    (url,) = await caller.outputs(model="gpt_image_2", ratio="1920:1088", background="transparent")
    picture = Image.open(io.BytesIO((await caller.fetch(url))[2]))

    assert picture.mode == "RGBA"
    assert picture.getpixel((0, 0))[3] == 0


async def test_a_task_makes_as_many_different_pictures_as_were_asked_for(caller: Caller) -> None:
    """`outputCount` pictures, no two alike, and the same again for the same prompt."""
    order = {"model": "muse_image", "ratio": "2352:1008", "outputCount": 3}
    first, second = await caller.outputs(**order), await caller.outputs(**order)
    pictures = [(await caller.fetch(url))[2] for url in (*first, *second)]

    assert len(first) == 3
    assert len(set(pictures)) == 3
    assert pictures[:3] == pictures[3:]


async def test_plain_pictures_are_small_and_true_to_size(start: Start) -> None:
    """For runs with thousands of pictures, `pictures="plain"` makes one colour of the right size."""
    _, caller = await start(pictures="plain")
    (url,) = await caller.outputs()
    content = (await caller.fetch(url))[2]

    assert Image.open(io.BytesIO(content)).size == (1920, 1080)
    assert len(content) < 50_000


async def test_urls_are_signed_anew_at_each_read_and_expire(start: Start) -> None:
    """A URL is good for its time; a later GET of the task gives a fresh one."""
    _, caller = await start(url_ttl_s=60)
    task_id = await caller.create()
    await asyncio.sleep(7)
    first, second = [(await caller.get(task_id))["output"][0] for _ in range(2)]
    good = (await caller.fetch(first))[0]
    await asyncio.sleep(61)
    expired = (await caller.fetch(first))[0]
    fresh = (await caller.fetch((await caller.get(task_id))["output"][0]))[0]

    assert first != second
    assert (good, expired, fresh) == (200, 401, 200)


async def test_a_url_opens_its_own_picture_only(start: Start) -> None:
    """Without a token, with a forged one or with another's, the storage refuses, as configured."""
    _, caller = await start(expired_status=403)
    one, other = (await caller.outputs())[0], (await caller.outputs())[0]
    path, _, token = one.partition("?_jwt=")
    refused = [
        path,
        f"{path}?_jwt=a.b.c",
        f"{path}?_jwt=\N{FOX FACE}",
        other.partition("?")[0] + f"?_jwt={token}",
    ]

    assert [(await caller.fetch(url))[0] for url in refused] == [403] * 4


async def test_pictures_are_gone_with_their_task(caller: Caller) -> None:
    """A DELETE of a finished task takes its pictures along."""
    task_id = await caller.create()
    await asyncio.sleep(7)
    (url,) = (await caller.get(task_id))["output"]
    await caller.ask("DELETE", f"/v1/tasks/{task_id}")

    assert (await caller.fetch(url))[0] == 404


async def test_urls_can_name_a_public_host(start: Start) -> None:
    """Behind a proxy, `public_url` is where pictures are fetched."""
    _, caller = await start(public_url="https://sandbox.example/")
    (url,) = await caller.outputs()

    assert url.startswith("https://sandbox.example/storage/outputs/gen4_image/")


async def test_a_key_shown_to_the_storage_is_a_leak(
    start: Start, session: aiohttp.ClientSession
) -> None:
    """The storage serves a request with a key, and tells on it."""
    sandbox, caller = await start()
    (url,) = await caller.outputs()
    await caller.fetch(url)
    clean = list(sandbox.leaks)
    async with session.get(url, headers=HEADERS) as response:
        status = response.status

    assert (status, clean) == (200, [])
    assert [leak.path for leak in sandbox.leaks] == [url.removeprefix(caller.url).partition("?")[0]]
