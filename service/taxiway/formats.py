"""What the bytes of an image are: their type, their size in pixels, and whether they are all there.

A sender's header, a file's suffix and a model's default are claims; the bytes decide. `Probe` looks at an image
as it passes by in pieces, and keeps a few KiB of it at most.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

PNG, JPEG, WEBP, SVG = "image/png", "image/jpeg", "image/webp", "image/svg+xml"

#: Content type → the suffix of a file's name, without the dot.
SUFFIXES: Mapping[str, str] = MappingProxyType({PNG: "png", JPEG: "jpg", WEBP: "webp", SVG: "svg"})

#: Within so many bytes every format has told its type, and every one but JPEG its size.
HEAD_BYTES = 4096

#: Where the mark of an image's end is looked for: a few bytes may follow it.
_TAIL_BYTES = 1024

_LENGTH = re.compile(r"\s*([0-9]{1,5})(?:\.[0-9]{1,9})?(?:px)?\s*")
_ATTRIBUTE = re.compile(r"""\b(width|height|viewBox)\s*=\s*["']([^"']{1,80})["']""")


def content_type_of(head: bytes) -> str | None:
    """Return the type of an image by its first `HEAD_BYTES`, or all; None for no image known here."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    return SVG if _svg_root(head) else None


def suffix_of(content_type: str) -> str:
    """Return the suffix for a file of this type; `bin` for no image that is known here."""
    return SUFFIXES.get(content_type, "bin")


class Probe:
    """Sees every byte of one image, in order, and says what it is."""

    __slots__ = ("_head", "_tail", "_walk", "content_type", "length_bytes", "size")

    def __init__(self) -> None:
        self.content_type: str | None = None
        self.size: str | None = None
        """`WIDTHxHEIGHT` in pixels; None until the bytes have said it."""
        self.length_bytes = 0
        self._head = bytearray()
        self._tail = b""
        self._walk = _JpegWalk()

    @property
    def settled(self) -> bool:
        """Whether further bytes cannot change the type."""
        return self.content_type is not None or len(self._head) >= HEAD_BYTES

    @property
    def complete(self) -> bool:
        """Whether the image's end has passed by. Of an unknown type nothing but emptiness can be told."""
        match self.content_type:
            case "image/png":
                return b"IEND" in self._tail
            case "image/jpeg":
                return b"\xff\xd9" in self._tail
            case "image/webp":
                return self.length_bytes >= int.from_bytes(self._head[4:8], "little") + 8
            case "image/svg+xml":
                return self._tail.rstrip().endswith((b"</svg>", b"/>", b"-->"))
            case _:
                return self.length_bytes > 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self.length_bytes += len(chunk)
        self._tail = (self._tail + chunk[-_TAIL_BYTES:])[-_TAIL_BYTES:]
        if len(self._head) < HEAD_BYTES:
            self._head += chunk[: HEAD_BYTES - len(self._head)]
            head = bytes(self._head)
            self.content_type = content_type_of(head)
            self.size = self.size or _size_in(head, self.content_type)
        if self.size is None:
            self.size = self._walk.feed(chunk)


class _JpegWalk:
    """Goes from segment to segment of a JPEG, over metadata of any length, to the one that has its size."""

    __slots__ = ("_held", "_over", "_skip", "_started")

    def __init__(self) -> None:
        self._held = bytearray()
        self._skip = 0
        self._started = self._over = False

    def feed(self, chunk: bytes) -> str | None:
        """Return the size as soon as it has come by. Of anything but a JPEG it never does."""
        if self._over:
            return None
        skipped = min(self._skip, len(chunk))
        self._skip -= skipped
        self._held += chunk[skipped:]
        while len(self._held) >= _SOF_BYTES:
            size = self._step()
            if size is not None or self._over:
                self._over = True
                self._held.clear()
                return size
        return None

    def _step(self) -> str | None:
        """Pass one segment, or return the size that it tells."""
        held = self._held
        if not self._started:
            self._started, self._over = True, held[:2] != b"\xff\xd8"
            del held[:2]
        elif held[0] != 0xFF or held[1] in _NO_FRAME:
            self._over = True
        elif held[1] in _FRAMES:
            return f"{int.from_bytes(held[7:9], 'big')}x{int.from_bytes(held[5:7], 'big')}"
        elif held[1] == 0xFF:
            del held[0]  # a marker may be filled up with any number of these
        else:
            length = int.from_bytes(held[2:4], "big") + 2
            self._skip = max(0, length - len(held))
            del held[:length]
        return None


#: A start of frame up to its width: marker, length, precision, height, width.
_SOF_BYTES = 9

#: Markers of a start of frame; the three left out are tables.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

#: Markers behind which no frame starts: the scan, the end.
_NO_FRAME = frozenset({0xD9, 0xDA})


def _size_in(head: bytes, content_type: str | None) -> str | None:
    match content_type:
        case "image/png" if len(head) >= 24:
            return f"{int.from_bytes(head[16:20], 'big')}x{int.from_bytes(head[20:24], 'big')}"
        case "image/webp" if len(head) >= 30:
            return _webp_size(head)
        case "image/svg+xml":
            return _svg_size(_svg_root(head))
        case _:
            return None


def _webp_size(head: bytes) -> str | None:
    """Return the size of a WebP by the first chunk of its three kinds: lossy, lossless, extended."""
    match head[12:16]:
        case b"VP8 ":
            width, height = (int.from_bytes(head[i : i + 2], "little") & 0x3FFF for i in (26, 28))
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            width, height = (int.from_bytes(head[i : i + 3], "little") + 1 for i in (24, 27))
        case _:
            return None
    return f"{width}x{height}"


def _svg_root(head: bytes) -> str:
    """Return the attributes of the root element of an SVG; empty for anything else."""
    text = head.decode("utf-8", "ignore").lstrip("\ufeff").lstrip()
    while text.startswith(("<?", "<!")):
        end = "-->" if text.startswith("<!--") else ">"
        _, found, text = text.partition(end)
        if not found:
            return ""
        text = text.lstrip()
    if not text.startswith(("<svg ", "<svg>", "<svg\n", "<svg\t", "<svg\r")):
        return ""
    return text[4:].partition(">")[0] or " "


def _svg_size(root: str) -> str | None:
    """Return the size that an SVG has by itself: its width and height in pixels, or its view box."""
    attributes = dict(_ATTRIBUTE.findall(root))
    sides = [_LENGTH.fullmatch(attributes.get(name, "")) for name in ("width", "height")]
    if sides[0] and sides[1]:
        return f"{int(sides[0][1])}x{int(sides[1][1])}"
    box = [_LENGTH.fullmatch(each) for each in attributes.get("viewBox", "").split()]
    if len(box) == 4 and box[2] and box[3]:
        return f"{int(box[2][1])}x{int(box[3][1])}"
    return None
