"""Pictures to refer to."""

import base64
import io

from PIL import Image


def png(width: int, height: int) -> bytes:
    """Return a real picture."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), (200, 90, 40)).save(file, "PNG")
    return file.getvalue()


def data_uri(content: bytes, kind: str = "image/png") -> str:
    """Return a picture as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
