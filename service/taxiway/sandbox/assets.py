"""Reference images themselves: looked at when a task is created, so that a bad one is a 400 and no task."""

import asyncio
import base64
import binascii
import io
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout

from taxiway.sandbox.settings import SandboxSettings
from taxiway.sandbox.uploads import Uploads
from taxiway.sandbox.zod import Issue, Path, custom

_TYPES = frozenset(("image/jpeg", "image/jpg", "image/png", "image/webp"))
_LARGEST_BYTES = 16 * 1024 * 1024
_FETCH_S = 10.0

#: Width to height, least and most, for the references of some models; from a third party.
_ASPECTS: Mapping[str, tuple[float, float]] = {
    "gen4_image": (0.5, 2.0),
    "gen4_image_turbo": (0.5, 2.0),
    "gemini_2.5_flash": (0.25, 4.0),
}


class _BadAssetError(Exception):
    """An asset that is refused; its text is the vendor's message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What came of looking at the references."""

    issues: list[Issue]
    first_size: tuple[int, int] | None


async def inspect(
    body: Mapping[str, Any], *, settings: SandboxSettings, uploads: Uploads, now: float
) -> Inspection:
    """Look at every reference of a body that has passed its schema."""
    places: list[tuple[str, Path]] = [
        (item["uri"], ("referenceImages", index, "uri"))
        for index, item in enumerate(body.get("referenceImages", ()))
    ]
    if body.get("maskUri"):
        places.append((body["maskUri"], ("maskUri",)))
    wants_size = body.get("ratio") in (None, "auto")
    issues, sizes = [], []
    for uri, path in places:
        try:
            content = await _content(uri, settings=settings, uploads=uploads, now=now)
            size = None
            if content is not None and (settings.fetch_references or wants_size):
                size = await asyncio.to_thread(_measure, content)
            if settings.fetch_references and size is not None:
                _check_aspect(size, _ASPECTS.get(body["model"]))
            sizes.append(size)
        except _BadAssetError as error:
            issues.append(custom(str(error), path=path))
    return Inspection(issues=issues, first_size=sizes[0] if sizes else None)


async def _content(
    uri: str, *, settings: SandboxSettings, uploads: Uploads, now: float
) -> bytes | None:
    if uri.startswith("data:"):
        return _decode(uri)
    if uri.startswith("runway://"):
        upload = uploads.find(uri.removeprefix("runway://"), now=now)
        if upload is None or upload.content is None:
            raise _BadAssetError("Failed to fetch asset. The upload does not exist or has expired.")
        return upload.content
    return await _fetch(uri, settings.reference_mirrors) if settings.fetch_references else None


def _decode(uri: str) -> bytes:
    head, comma, data = uri.removeprefix("data:").partition(",")
    kind, *parameters = head.split(";")
    if not comma:
        raise _BadAssetError("Invalid data URI.")
    _check_type(kind)
    if "base64" not in parameters:
        return unquote_to_bytes(data)
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise _BadAssetError("Invalid data URI.") from error


async def _fetch(uri: str, mirrors: Mapping[str, str]) -> bytes:
    _check_host(uri)
    for prefix, mirror in mirrors.items():
        if uri.startswith(prefix):
            uri = mirror + uri.removeprefix(prefix)
    agent = {"User-Agent": "RunwayML API/1.0 (sandbox)"}
    try:
        async with (
            ClientSession(timeout=ClientTimeout(total=_FETCH_S), headers=agent) as session,
            session.get(uri, allow_redirects=False) as response,
        ):
            if response.status != 200:
                text = f'Failed to fetch asset. Received HTTP response code "{response.status}".'
                raise _BadAssetError(text)
            _check_type(response.content_type)
            content = await response.content.read(_LARGEST_BYTES + 1)
            while not response.content.at_eof() and len(content) <= _LARGEST_BYTES:
                content += await response.content.read(_LARGEST_BYTES + 1)
    except (ClientError, TimeoutError) as error:
        raise _BadAssetError("Failed to fetch asset.") from error
    if len(content) > _LARGEST_BYTES:
        raise _BadAssetError("Asset size exceeds 16.0MB")
    return content


def _check_host(uri: str) -> None:
    try:
        ipaddress.ip_address(urlsplit(uri).hostname or "")
    except ValueError:
        return
    raise _BadAssetError("Failed to fetch asset. Use a domain name, not an IP address.")


def _check_type(kind: str) -> None:
    if kind.lower() not in _TYPES:
        message = f'Unsupported asset type "{kind}".'
        raise _BadAssetError(message)


def _check_aspect(size: tuple[int, int], bounds: tuple[float, float] | None) -> None:
    if bounds is None:
        return
    aspect = size[0] / size[1]
    side, bound = ("least", bounds[0]) if aspect < bounds[0] else ("most", bounds[1])
    if not bounds[0] <= aspect <= bounds[1]:
        message = (
            "Invalid asset aspect ratio. width / height ratio must be "
            f"at {side} {bound:g}. Got {aspect:.3g}."
        )
        raise _BadAssetError(message)


def _measure(content: bytes) -> tuple[int, int] | None:
    # Paid for only by those who send references: the sandbox starts without Pillow.
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.size
    except UnidentifiedImageError:
        return None
