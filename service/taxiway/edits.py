"""Images made from other images, from Python: `image_edit` is `image_generation` with files as references.

Names, order and defaults of the arguments are those that users of LiteLLM bring along.
"""

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from taxiway.api import aimage_generation, image_generation
from taxiway.errors import BadRequestError, UnsupportedParamsError
from taxiway.formats import HEAD_BYTES, JPEG, PNG, WEBP, content_type_of
from taxiway.responses import ImageResponse

#: What an image may be given as: its bytes, an open file, a path, OpenAI's `(name, bytes)`, or its address.
File = bytes | bytearray | IO[bytes] | os.PathLike[str] | tuple[Any, ...] | str

_ADDRESSES = ("https://", "runway://", "data:image/")


def image_edit(
    image: File | Sequence[File],
    prompt: str,
    model: str | None = None,
    mask: File | None = None,
    n: int | None = None,
    quality: str | None = None,
    response_format: str | None = None,
    size: str | None = None,
    user: str | None = None,
    extra_headers: dict[str, Any] | None = None,
    extra_query: dict[str, Any] | None = None,
    extra_body: dict[str, Any] | None = None,
    timeout: float | None = None,
    custom_llm_provider: str | None = None,
    **kwargs: Any,
) -> ImageResponse:
    """Make an image from others, and wait for it. Works inside a running event loop too.

    The arguments and exceptions are those of `aimage_edit`.
    """
    _refuse(extra_headers=extra_headers, extra_query=extra_query)
    return image_generation(
        prompt,
        model,
        n=n,
        quality=quality,
        response_format=response_format,
        size=size,
        user=user,
        timeout=timeout,
        custom_llm_provider=custom_llm_provider,
        **_references(image, mask, {**kwargs, **(extra_body or {})}),
    )


async def aimage_edit(
    image: File | Sequence[File],
    prompt: str,
    model: str | None = None,
    mask: File | None = None,
    n: int | None = None,
    quality: str | None = None,
    response_format: str | None = None,
    size: str | None = None,
    user: str | None = None,
    extra_headers: dict[str, Any] | None = None,
    extra_query: dict[str, Any] | None = None,
    extra_body: dict[str, Any] | None = None,
    timeout: float | None = None,
    custom_llm_provider: str | None = None,
    **kwargs: Any,
) -> ImageResponse:
    """Make an image from others. Cancelling the call cancels the job, at the provider too.

    `image` is one file or several, each as bytes, an open file, a path, `(name, bytes)` or an address; `mask`
    says where the first may be changed, on a model that has one. Everything else is as in `aimage_generation`;
    `extra_body` holds further keywords.

    Raises `BadRequestError` for what is no image, and what `aimage_generation` raises.
    """
    _refuse(extra_headers=extra_headers, extra_query=extra_query)
    return await aimage_generation(
        prompt,
        model,
        n=n,
        quality=quality,
        response_format=response_format,
        size=size,
        user=user,
        timeout=timeout,
        custom_llm_provider=custom_llm_provider,
        **_references(image, mask, {**kwargs, **(extra_body or {})}),
    )


def _refuse(**arguments: object) -> None:
    for name, value in arguments.items():
        if value:
            raise UnsupportedParamsError(
                f"{name} has no meaning here: no server stands between.", param=name
            )


def _references(
    image: File | Sequence[File], mask: File | None, keywords: dict[str, Any]
) -> dict[str, Any]:
    """Return the keywords with the images among them, before those that are references already."""
    images = image if isinstance(image, list | tuple) and not _is_named(image) else [image]
    if not images:
        raise BadRequestError(
            "image needs one file at least.", code="missing_required_parameter", param="image"
        )
    references = [{"uri": _uri(each, param="image")} for each in images]
    keywords["reference_images"] = [*references, *(keywords.get("reference_images") or ())]
    if mask is not None:
        keywords["mask"] = _uri(mask, param="mask")
    return keywords


def _is_named(file: Sequence[Any]) -> bool:
    """Return whether a sequence is one file in OpenAI's way, `(name, content, …)`, and not several files."""
    return (
        isinstance(file, tuple)
        and len(file) > 1
        and (file[0] is None or isinstance(file[0], str))
        and not str(file[0]).startswith(_ADDRESSES)
    )


def _uri(file: object, *, param: str) -> str:
    """Return an image as an address: its own, or one that carries its bytes."""
    if isinstance(file, str) and file.startswith(_ADDRESSES):
        return file
    content = _content(file[1] if isinstance(file, tuple) and len(file) > 1 else file)
    content_type = None if content is None else content_type_of(content[:HEAD_BYTES])
    if content is None or content_type not in (PNG, JPEG, WEBP):
        raise BadRequestError(
            f"{param} must be a PNG, JPEG or WebP image, as bytes, an open file, a path or an address.",
            code="invalid_image",
            param=param,
        )
    return f"data:{content_type};base64,{base64.b64encode(content).decode()}"


def _content(file: object) -> bytes | None:
    if isinstance(file, bytes | bytearray):
        return bytes(file)
    if isinstance(file, os.PathLike):
        return Path(file).read_bytes()
    read = getattr(file, "read", None)
    content = read() if read is not None else None
    return content if isinstance(content, bytes) else None
