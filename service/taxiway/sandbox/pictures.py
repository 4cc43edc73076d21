"""Pictures as files: exactly the pixels, the type and the prompt that were asked for.

Drawn when somebody fetches them and not before, two at a time and off the loop, then kept for a while.
"""

import asyncio
import hashlib
import io
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from taxiway.sandbox.caption import write
from taxiway.sandbox.faults import Outputs
from taxiway.sandbox.marks import without_marks
from taxiway.sandbox.scene import canvas_size, paint
from taxiway.sandbox.tasks import Order
from taxiway.sandbox.vector import paint_vector

if TYPE_CHECKING:
    from PIL.Image import Image

CONTENT_TYPES: Mapping[str, str] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "svg": "image/svg+xml",
}

_KEPT_BYTES = 64 * 1024 * 1024
_AT_ONCE = 2

Key = tuple[str, ...]


class Studio:
    """Draws pictures and remembers the latest. Owned by one sandbox."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def picture(
        self, order: Order, *, index: int, kind: Outputs | None, plain: bool
    ) -> bytes:
        """Return the file of one picture of an order, with what is to be the matter with it."""
        width, height = order.size
        if kind == "wrong_size":
            width, height = max(1, width // 2), max(1, height // 2)
        file_type = order.format
        if kind == "wrong_type":
            file_type = "png" if order.format == "jpeg" else "jpeg"
        words = "" if plain else f"{order.prompt}\n{index}\n{order.seed}"
        key = (order.model, words, f"{width}x{height}", file_type, str(order.transparent))
        async with self._room:
            content = self._kept.get(key)
            if content is None:
                content = await asyncio.to_thread(
                    draw, order, (width, height), file_type, index=index, plain=plain
                )
                self._keep(key, content)
        self._kept.move_to_end(key)
        return content

    def _keep(self, key: Key, content: bytes) -> None:
        self._kept[key] = content
        self._kept_bytes += len(content)
        while self._kept_bytes > _KEPT_BYTES and len(self._kept) > 1:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1])


def draw(order: Order, size: tuple[int, int], file_type: str, *, index: int, plain: bool) -> bytes:
    """Return the file of a picture. The same prompt, seed and index make the same picture."""
    prompt, note = without_marks(order.prompt), f"{order.model} · {size[0]} x {size[1]} · sandbox"
    seed = hashlib.sha256(f"{prompt}\n{index}\n{order.seed}".encode()).digest()
    if file_type == "svg":
        return paint_vector(prompt, seed=seed, size=size, note=note)
    if plain:
        return _encode(_plain(order.model, size), file_type)
    return _encode(_scene(order, prompt, note, seed, size), file_type)


def _scene(order: Order, prompt: str, note: str, seed: bytes, size: tuple[int, int]) -> "Image":
    # Pillow is paid for by those who look at pictures.
    from PIL.Image import Resampling

    painted, cover = paint(prompt, seed=seed, size=canvas_size(size))
    picture = painted.resize(size, Resampling.BICUBIC)
    write(picture, prompt=prompt, note=note)
    if order.transparent:
        picture.putalpha(cover.resize(size))
    return picture


def _plain(model: str, size: tuple[int, int]) -> "Image":
    from PIL import Image

    red, green, blue = hashlib.sha256(model.encode()).digest()[:3]
    return Image.new("RGB", size, (red, green, blue))


def _encode(picture: "Image", file_type: str) -> bytes:
    file = io.BytesIO()
    if file_type == "jpeg":
        picture.convert("RGB").save(file, "JPEG", quality=88)
    elif file_type == "webp":
        picture.save(file, "WEBP", quality=82, method=1)
    else:
        # The weakest compression takes half the time of the default for a third more bytes.
        picture.save(file, "PNG", compress_level=1)
    return file.getvalue()
