"""One contract, every archive: a folder, and a bucket behind a real server that speaks S3."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.ports import free_port

from taxiway.archive import default_url, open_archive
from taxiway.artifacts import Archive
from taxiway.errors import ArchiveError, ConfigError, ProviderUnavailableError

pytestmark = pytest.mark.looptime(False)

NAME = "2026-11-25/job_1/0.png"
REFERENCE = "references/abc.png"
TYPE = "image/png"

#: What an AWS client signs with; the server takes any.
AWS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
}


def answered(url: str, *, method: str = "GET") -> bool:
    """Return whether something answers a request well. It is signed, in form."""
    scope = "key/20260101/us-east-1/s3/aws4_request"
    signature = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=x"
    with suppress(httpx.HTTPError):
        return httpx.request(method, url, headers={"Authorization": signature}).is_success
    return False


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that speaks S3, in a process of its own, with the bucket `pictures`."""
    log = tmp_path_factory.mktemp("s3") / "log"
    with log.open("wb") as out:
        # Port 0 is not told back, so the port comes from whoever knows a free one.
        port = free_port()
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        server = subprocess.Popen(command, stdout=out, stderr=out)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            if answered(f"{url}/moto-api/data.json"):
                break
            assert server.poll() is None, log.read_text()
            time.sleep(0.1)
        assert answered(f"{url}/pictures", method="PUT")
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**AWS, "AWS_ENDPOINT_URL": url}.items():
                patch.setenv(name, value)
            yield url
    finally:
        server.kill()
        server.wait()


@pytest.fixture(params=["folder", "bucket"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Archive:
    """An archive of each kind, empty."""
    if request.param == "folder":
        opened = open_archive((tmp_path / "a folder").as_uri())
    else:
        request.getfixturevalue("s3")
        opened = open_archive(f"s3://pictures/{tmp_path.name}")
    assert opened is not None
    return opened


async def pieces(content: bytes, *, size: int = 65_536) -> AsyncIterator[bytes]:
    """Yield bytes as a download would."""
    for start in range(0, len(content), size):
        await asyncio.sleep(0)
        yield content[start : start + size]


async def read(archive: Archive, name: str, **part: int) -> bytes:
    """Return a file, or a part of it."""
    async with archive.open(name, **part) as chunks:
        return b"".join([chunk async for chunk in chunks])


#: Small, of one part exactly, and of several parts.
CONTENTS = [
    pytest.param(b"", id="empty"),
    pytest.param(b"small", id="small"),
    pytest.param(os.urandom(5 * 1024 * 1024), id="one part"),
    pytest.param(os.urandom(12_000_001), id="several parts"),
]


@pytest.mark.parametrize("content", CONTENTS)
async def test_what_was_put_is_read(archive: Archive, content: bytes) -> None:
    """A file comes back to the byte."""
    await archive.put(NAME, pieces(content), content_type=TYPE)

    assert await read(archive, NAME) == content


async def test_a_part_is_read(archive: Archive) -> None:
    """A part is read from its first byte to before its last, or to the end."""
    content = bytes(range(256)) * 10_000
    await archive.put(NAME, pieces(content), content_type=TYPE)

    assert (
        await read(archive, NAME, start=1_000_000, stop=1_000_300) == content[1_000_000:1_000_300]
    )
    assert await read(archive, NAME, start=2_559_990) == content[-10:]


async def test_a_second_put_replaces_the_first(archive: Archive) -> None:
    """A name holds what was put last."""
    await archive.put(NAME, pieces(b"one"), content_type=TYPE)
    await archive.put(NAME, pieces(b"another"), content_type=TYPE)

    assert await read(archive, NAME) == b"another"


async def test_what_is_not_there_is_an_error(archive: Archive) -> None:
    """A name without a file is an `ArchiveError`."""
    with pytest.raises(ArchiveError):
        await read(archive, NAME)


@pytest.mark.parametrize(
    "length", [pytest.param(1_000, id="small"), pytest.param(7_000_000, id="large")]
)
@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ProviderUnavailableError("The image ended too early."), id="ours"),
        pytest.param(ConnectionResetError("reset"), id="of the operating system"),
        pytest.param(ValueError("odd"), id="of Python"),
    ],
)
async def test_a_source_that_breaks_leaves_nothing_behind(
    archive: Archive, length: int, error: Exception
) -> None:
    """What the source raises comes through as it is, and no file is to be seen, not even the old one's half."""

    async def broken() -> AsyncIterator[bytes]:
        async for piece in pieces(bytes(length)):
            yield piece
        raise error

    with pytest.raises(type(error)) as caught:
        await archive.put(NAME, broken(), content_type=TYPE)

    assert caught.value is error
    with pytest.raises(ArchiveError):
        await read(archive, NAME)


async def test_a_put_that_is_cancelled_leaves_nothing_behind(archive: Archive) -> None:
    """A process that stops in the middle of a large image leaves no file by its name."""
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        for number in range(1_000_000):
            yield bytes(65_536)
            if number > 100:
                begun.set()
                await asyncio.sleep(0.01)

    putting = asyncio.create_task(archive.put(NAME, endless(), content_type=TYPE))
    await asyncio.wait_for(begun.wait(), 10)
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting

    with pytest.raises(ArchiveError):
        await read(archive, NAME)


async def test_many_at_once_do_not_mix(archive: Archive) -> None:
    """Twenty images put at the same time are twenty files."""
    contents = {f"2026-11-25/job_{i}/0.png": os.urandom(100_000 + i) for i in range(20)}
    await asyncio.gather(
        *(archive.put(name, pieces(each), content_type=TYPE) for name, each in contents.items())
    )

    assert {name: await read(archive, name) for name in contents} == contents


async def test_old_files_are_forgotten(archive: Archive) -> None:
    """`forget` deletes images and references older than a date, and says how many; younger ones stay."""
    for name in (NAME, REFERENCE):
        await archive.put(name, pieces(b"old"), content_type=TYPE)
    nothing = await archive.forget(time.time() - 60)  # noqa: TID251 - files bear the machine's dates
    both = await archive.forget(time.time() + 60)  # noqa: TID251
    none = await archive.forget(time.time() + 60)  # noqa: TID251

    assert (nothing, both, none) == (0, 2, 0)
    for name in (NAME, REFERENCE):
        with pytest.raises(ArchiveError):
            await read(archive, name)


async def test_what_others_keep_there_is_left_alone(archive: Archive) -> None:
    """Only the folders of days and references are ours."""
    for name in ("notes/keep.txt", "2026/keep.txt", "2026-11-25x/keep.txt"):
        await archive.put(name, pieces(b"theirs"), content_type="text/plain")
    forgotten = await archive.forget(time.time() + 60)  # noqa: TID251

    assert forgotten == 0
    assert await read(archive, "notes/keep.txt") == b"theirs"


# The folder


async def test_a_folder_holds_nothing_but_images(tmp_path: Path) -> None:
    """After a put there is one file, and after `forget` there is not even a folder."""
    archive = open_archive(tmp_path.as_uri())
    assert archive is not None
    await archive.put(NAME, pieces(b"image"), content_type=TYPE)
    before = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))  # noqa: ASYNC240
    await archive.forget(time.time() + 60)  # noqa: TID251

    assert before == ["2026-11-25", "2026-11-25/job_1", NAME]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "", ".hidden/x"])
async def test_a_name_stays_in_the_folder(tmp_path: Path, name: str) -> None:
    """A name that leads elsewhere is a mistake of ours, and is refused."""
    archive = open_archive(tmp_path.as_uri())
    assert archive is not None

    with pytest.raises(ValueError, match="is no name"):
        await read(archive, name)


# The bucket


async def test_an_object_bears_its_type(s3: str) -> None:
    """A bucket that is served by itself says what its images are."""
    archive: Any = open_archive("s3://pictures/typed")
    await archive.put(NAME, pieces(b"image"), content_type="image/webp")
    found = await archive._api.head_async(archive._store, NAME)
    opened = await archive._api.get_async(archive._store, NAME)

    assert (found["size"], opened.attributes["Content-Type"]) == (5, "image/webp")


async def test_a_bucket_that_is_not_there_is_an_error(s3: str) -> None:
    """A wrong bucket shows when it is used: the error says so in one line."""
    archive = open_archive("s3://nowhere")
    assert archive is not None

    with pytest.raises(ArchiveError) as caught:
        await archive.put(NAME, pieces(b"image"), content_type=TYPE)

    assert "not found" in caught.value.message
    assert "\n" not in caught.value.message


async def test_a_bucket_that_cannot_be_reached_is_an_error(
    s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that is down is told within seconds, for puts and for reads."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    archive = open_archive("s3://pictures")
    assert archive is not None

    async with asyncio.timeout(30):
        with pytest.raises(ArchiveError):
            await archive.put(NAME, pieces(b"image"), content_type=TYPE)
        with pytest.raises(ArchiveError):
            await read(archive, NAME)


# Its address


@pytest.mark.parametrize(
    ("url", "why"),
    [
        pytest.param("images", "is not an address", id="no address"),
        pytest.param("ftp://x/y", "is not an address", id="unknown scheme"),
        pytest.param("file://images", "absolute path", id="relative path"),
        pytest.param("file:///", "absolute path", id="no path"),
        pytest.param("s3://", "names no bucket", id="no bucket"),
        pytest.param("file:///proc/images", "cannot be made", id="no place"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(url: str, why: str) -> None:
    """A wrong `artifacts_url` stops the start with one sentence."""
    with pytest.raises(ConfigError, match=why):
        open_archive(url)


def test_none_is_no_archive() -> None:
    """`none` keeps nothing."""
    assert open_archive("none") is None


@pytest.mark.parametrize(
    ("database_url", "ends"),
    [
        pytest.param(
            "sqlite:////var/lib/taxiway/jobs.db",
            "file:///var/lib/taxiway/jobs-images",
            id="absolute",
        ),
        pytest.param("sqlite+aiosqlite:///taxiway.db", "/taxiway-images", id="relative"),
        pytest.param("memory://", "none", id="memory"),
        pytest.param("postgresql://localhost/taxiway", "none", id="postgresql"),
    ],
)
def test_the_default_is_a_folder_beside_the_file(database_url: str, ends: str) -> None:
    """Whoever has a file for jobs has a folder for images; others say where."""
    assert default_url(database_url).endswith(ends)


def test_a_bucket_needs_the_extra(tmp_path: Path) -> None:
    """Without obstore a bucket is refused with what to install, and a folder works."""
    program = (
        "import sys; sys.modules['obstore'] = None\n"
        "from taxiway.archive import open_archive\n"
        f"open_archive({(tmp_path / 'x').as_uri()!r})\n"
        "open_archive('s3://bucket')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.stderr.splitlines()[-1].endswith("install taxiway[s3].")
