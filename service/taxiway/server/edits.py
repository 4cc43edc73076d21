"""`POST /v1/images/edits`: OpenAI's form, whose images become the references of a generation.

Besides the files, everything is as in a generation: the same fields, the same checks, the same ways of being
answered. JSON is taken too, with OpenAI's `images` and `mask` as addresses.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from aiohttp import web

from taxiway.errors import BadRequestError
from taxiway.jobs import Reference
from taxiway.server.access import check_models
from taxiway.server.bodies import Asked, read_generation
from taxiway.server.files import SentFile, look_at
from taxiway.server.forms import FILES, Form, read_form
from taxiway.server.frames import Operation
from taxiway.server.images import answer
from taxiway.server.json_bodies import read_object
from taxiway.server.keys import DRAIN, RUNNER
from taxiway.server.policies import policy_of

#: OpenAI's default; more than that no model here offers.
_IDLE_FIDELITY = "low"


async def edit(request: web.Request) -> web.StreamResponse:
    """Ask for an image that is made from others, and answer in the way the caller prefers.

    Raises what the form or the model refuses, `NotReadyError` and `RateLimitError`: then nothing was bought.
    """
    request.app[DRAIN].refuse_if_begun()
    if request.content_type == "multipart/form-data":
        form = await read_form(request)
    else:
        form = Form(document=await read_object(request, or_form=True), files=())
    asked = await _asked(form, model=request.match_info.get("model"))
    check_models(request, asked)
    try:
        request.app[RUNNER].plan(asked.generation, policy=policy_of(request, asked))
    except BadRequestError as error:
        raise _in_words_of_edits(error) from error
    return await answer(request, asked, operation=Operation.EDIT)


async def _asked(form: Form, *, model: str | None) -> Asked:
    files: dict[str, list[SentFile]] = {field: [] for field in FILES}
    for field, content in form.files:
        files[field].append(await look_at(content, param=field))
    document = dict(form.document)
    images = [*map(_reference, files["image"]), *_addresses(document, "image", "images")]
    masks = [*map(_reference, files["mask"]), *_addresses(document, "mask")]
    if document.get("input_fidelity") == _IDLE_FIDELITY:
        del document["input_fidelity"]
    asked = read_generation(document, model=model)
    images += asked.generation.references
    if not images:
        raise BadRequestError(
            "`image` is required, and must be a PNG, JPEG or WebP image.",
            code="missing_required_parameter",
            param="image",
        )
    if len(masks) > 1:
        raise BadRequestError("`mask` must be one image.", param="mask")
    return replace(
        asked,
        generation=replace(
            asked.generation, references=tuple(images), mask=next(iter(masks), None)
        ),
        files={file.asset.digest: file for each in files.values() for file in each},
    )


def _reference(file: SentFile) -> Reference:
    return Reference(uri="", asset=file.asset)


def _addresses(document: dict[str, Any], *names: str) -> Iterator[Reference]:
    """Take images that are given as addresses out of a document: as text, or as OpenAI's `image_url`."""
    for name in names:
        value = document.pop(name, None)
        for each in value if isinstance(value, list) else [value]:
            uri = each.get("image_url") if isinstance(each, dict) else each
            if uri is None:
                continue
            if not isinstance(uri, str):
                raise BadRequestError(
                    f"`{name}` must be a file, or an address of an image.",
                    code="invalid_type",
                    param=name,
                )
            yield Reference(uri=uri)


def _in_words_of_edits(error: BadRequestError) -> BadRequestError:
    """Return a refusal that blames the field as this route calls it."""
    theirs = error.param or ""
    for ours, name in (("reference_images", "image"), ("maskUri", "mask")):
        if theirs.startswith(ours):
            message = error.message.replace(ours, name)
            return type(error)(message, code=error.code, param=theirs.replace(ours, name))
    return error
