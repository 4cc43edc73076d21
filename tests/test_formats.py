"""What bytes are: type, size and completeness of an image, told as it passes by in pieces."""

import io
import random
from typing import Any

import pytest
from PIL import Image

from taxiway.formats import Probe, content_type_of, suffix_of

SIZE = (321, 123)
EXIF = b"Exif\0\0" + bytes(60_000)


def picture(kind: str, **how: Any) -> bytes:
    """Return an image of noise."""
    content = io.BytesIO()
    noise = random.Random(1).randbytes(SIZE[0] * SIZE[1] * 3)
    Image.frombytes("RGB", SIZE, noise).save(content, kind, **how)
    return content.getvalue()


def probed(content: bytes, *, piece: int) -> Probe:
    """Return what is known of an image that came in pieces."""
    probe = Probe()
    for start in range(0, len(content), piece):
        probe.feed(content[start : start + piece])
    return probe


PICTURES = [
    pytest.param("image/png", picture("PNG"), id="png"),
    pytest.param("image/jpeg", picture("JPEG"), id="jpeg"),
    pytest.param("image/jpeg", picture("JPEG", progressive=True), id="jpeg, progressive"),
    pytest.param("image/jpeg", picture("JPEG", exif=EXIF), id="jpeg, behind 60 KB of metadata"),
    pytest.param("image/webp", picture("WEBP"), id="webp, lossy"),
    pytest.param("image/webp", picture("WEBP", lossless=True), id="webp, lossless"),
    pytest.param("image/webp", picture("WEBP", exif=EXIF), id="webp, extended"),
    pytest.param(
        "image/svg+xml",
        b'<svg xmlns="http://www.w3.org/2000/svg" width="321" height="123px"><path/></svg>\n',
        id="svg",
    ),
    pytest.param(
        "image/svg+xml",
        b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- a <svg> --><!DOCTYPE svg>\n'
        b'<svg\n  viewBox="0 0 321 123.4"></svg>',
        id="svg, behind a prologue",
    ),
]


@pytest.mark.parametrize("piece", [pytest.param(1, id="bytes"), pytest.param(65_536, id="chunks")])
@pytest.mark.parametrize(("content_type", "content"), PICTURES)
def test_an_image_tells_its_type_and_size(content_type: str, content: bytes, piece: int) -> None:
    """Type, size and length come out, however the bytes are cut."""
    probe = probed(content, piece=piece)

    assert (probe.content_type, probe.size) == (content_type, "321x123")
    assert (probe.length_bytes, probe.settled, probe.complete) == (len(content), True, True)


@pytest.mark.parametrize(("content_type", "content"), PICTURES)
def test_an_image_without_its_end_is_not_complete(content_type: str, content: bytes) -> None:
    """A picture that was cut is recognised, also where the sender framed it well."""
    cut = probed(content[: len(content) * 2 // 3], piece=4_096)

    assert not cut.complete


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html><body>Please sign in</body></html>", id="page"),
        pytest.param(b"<svgx></svgx>", id="almost svg"),
        pytest.param(b"<!-- <svg> " + b"<!-- --> " * 600, id="comments without an end"),
        pytest.param(b"GIF89a" + bytes(20), id="gif"),
        pytest.param(b"RIFF\0\0\0\0WAVE", id="sound"),
        pytest.param(b"\xff\xd8", id="two bytes of a jpeg"),
        pytest.param(bytes(10_000), id="zeros"),
    ],
)
def test_anything_else_is_no_image(content: bytes) -> None:
    """What is not one of the four formats has neither type nor size."""
    probe = probed(content, piece=7)

    assert (content_type_of(content), probe.content_type, probe.size) == (None, None, None)


def test_a_broken_jpeg_has_no_size() -> None:
    """A JPEG whose segments lead nowhere is read to its end without harm."""
    content = b"\xff\xd8\xff\xe0\x00\x04ab" + random.Random(2).randbytes(5_000)
    probe = probed(content, piece=100)

    assert (probe.content_type, probe.size) == ("image/jpeg", None)


def test_every_type_has_a_suffix() -> None:
    """Files are named by what they are."""
    types = ("image/png", "image/jpeg", "image/webp", "image/svg+xml", "image/avif")

    assert [suffix_of(each) for each in types] == ["png", "jpg", "webp", "svg", "bin"]
