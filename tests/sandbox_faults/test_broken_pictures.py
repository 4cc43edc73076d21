"""A task that ended well, whose pictures cannot be had, or are none."""

import asyncio
import io
from typing import Any

import aiohttp
import pytest
from PIL import Image
from tests.sandbox_faults.callers import Caller, Start, life

from taxiway.sandbox import Fault, Outcome


async def picture(caller: Caller, mark: str) -> tuple[int | str, Any, str]:
    """Return what fetching the picture of a marked prompt brings, and the URL."""
    (seen,) = await life(caller, f"a fox [[{mark}]]", 7)
    (url,) = seen["output"]
    path = url.removeprefix(caller.url)
    limit = aiohttp.ClientTimeout(total=10)
    return *await caller.ask("GET", path, headers={}, timeout=limit), url


@pytest.mark.parametrize(
    ("mark", "status"),
    [
        pytest.param("outputs:missing", 404, id="missing"),
        pytest.param("outputs:forbidden", 403, id="forbidden"),
        pytest.param("outputs:expired", 401, id="expired at once"),
        pytest.param("outputs:cut", "ClientPayloadError", id="cut"),
        pytest.param("output:503 times=1", 503, id="503 once"),
        pytest.param("output:half times=1", "ClientPayloadError", id="half once"),
        pytest.param("output:302 times=1", 302, id="redirect once"),
        pytest.param("output:cut times=1", 200, id="cut once, which aiohttp repeats by itself"),
        pytest.param("output:200 body=html times=1", 200, id="a page once"),
        pytest.param("output:truncated times=1", 200, id="truncated once"),
        pytest.param("output:hang times=1", "TimeoutError", id="no answer once"),
    ],
)
async def test_a_picture_cannot_be_fetched(start: Start, mark: str, status: int | str) -> None:
    """For good where the outcome says so; once, with a good URL after, where a fault does."""
    _, caller = await start()
    got, _, url = await picture(caller, mark)
    again, _ = await caller.ask("GET", url.removeprefix(caller.url), headers={})

    assert got == status
    assert again == (200 if "times" in mark else status)


@pytest.mark.parametrize(
    ("mark", "kind", "size"),
    [
        pytest.param("outputs:wrong_size", "PNG", (640, 360), id="wrong dimensions"),
        pytest.param("outputs:wrong_type", "JPEG", (1280, 720), id="wrong type"),
    ],
)
async def test_a_picture_is_not_what_was_ordered(
    start: Start, mark: str, kind: str, size: tuple[int, int]
) -> None:
    """Its bytes are a picture, with other pixels or of another type than its name says."""
    _, caller = await start()
    status, content, url = await picture(caller, mark)
    found = Image.open(io.BytesIO(content))

    assert (status, found.format, found.size) == (200, kind, size)
    assert ".png?" in url


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param("empty_file", b"", id="no bytes"),
        pytest.param("truncated", b"\x89PNG", id="half the bytes"),
        pytest.param("html", b"<htm", id="a page"),
    ],
)
async def test_a_picture_is_no_picture(start: Start, kind: str, expected: bytes) -> None:
    """200, well framed, and nothing that can be decoded."""
    _, caller = await start()
    status, content, _ = await picture(caller, f"outputs:{kind}")

    assert (status, content[:4]) == (200, expected)
    with pytest.raises(OSError, match=r"cannot identify|truncated"):
        Image.open(io.BytesIO(content)).load()


async def test_a_picture_trickles(start: Start) -> None:
    """It comes whole, in twenty pieces with a quarter of a second between them."""
    _, caller = await start()
    loop = asyncio.get_running_loop()
    began = loop.time()
    status, content, _ = await picture(caller, "outputs:slow")

    assert status == 200
    assert Image.open(io.BytesIO(content)).size == (1280, 720)
    assert loop.time() - began - 7 == pytest.approx(19 * 0.25, abs=0.1)


async def test_a_standing_fault_can_decide_how_tasks_fare(start: Start) -> None:
    """Outcomes take the same scopes as faults: here, each second task fails, and only gen4's."""
    _, caller = await start(faults=("fail:INTERNAL skip=1 times=1 model=gen4_image",))
    ids = [await caller.create() for _ in range(3)]
    await asyncio.sleep(7)

    assert [(await caller.get(each))["status"] for each in ids] == [
        "SUCCEEDED",
        "FAILED",
        "SUCCEEDED",
    ]


async def test_an_outcome_and_a_bad_answer_go_together(start: Start) -> None:
    """A lost create whose task fails later."""
    sandbox, caller = await start(
        faults=(Fault(on="create", cut="answer", outcome=Outcome(fail="INTERNAL")),)
    )
    lost = (await caller.post())[0]
    await asyncio.sleep(7)

    assert lost == "ClientOSError"
    assert [task.status for task in sandbox.tasks.values()] == ["FAILED"]
