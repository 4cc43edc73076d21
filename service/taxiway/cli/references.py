"""Reference images from the command line: an address as it is, a file as a `data:` URI."""

import base64
import mimetypes
import re
from pathlib import Path

import typer

#: `style=mood.png` calls the image `@style` in the prompt.
_TAGGED = re.compile(r"([A-Za-z][A-Za-z0-9_]{0,15})=(.+)")
_ADDRESSES = ("https://", "http://", "data:", "runway://")


def reference(text: str) -> dict[str, str]:
    """Return `[TAG=]FILE-OR-URL` as an entry of `reference_images`. Raises `BadParameter`."""
    tagged = _TAGGED.fullmatch(text)
    tag, source = (tagged[1], tagged[2]) if tagged else (None, text)
    uri = source if source.startswith(_ADDRESSES) else _data_uri(Path(source))
    return {"uri": uri} if tag is None else {"uri": uri, "tag": tag}


def _data_uri(path: Path) -> str:
    kind, _ = mimetypes.guess_type(path.name)
    if kind is None or not kind.startswith("image/"):
        raise typer.BadParameter(
            f"{path} is neither an image file nor a URL", param_hint="--reference"
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(
            f"{path} cannot be read: {error.strerror}", param_hint="--reference"
        ) from error
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
