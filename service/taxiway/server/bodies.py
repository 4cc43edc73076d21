"""The body of a generation request: what OpenAI's clients send, and Taxiway's few fields beside it.

A field's description says what it accepts, and a refusal quotes it. Fields that are not listed here are the
vendor's: the model's plan says whether it has them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from taxiway.errors import BadRequestError, UnsupportedParamsError
from taxiway.jobs import GenerationRequest, Policy, Reference, Webhook
from taxiway.server.files import Files
from taxiway.server.json_bodies import field_name
from taxiway.server.metadata import ACCEPTED as METADATA
from taxiway.server.metadata import check_metadata
from taxiway.server.preferences import TIMEOUT_MIN_S
from taxiway.server.webhooks.bodies import WebhookBody

ResponseFormat = Literal["url", "b64_json"]

#: Three times the longest prompt that any model is known to take. A job is written at each of its steps and shown
#: at each of its polls with its prompt, also where a model's own limit is not known.
PROMPT_MAX = 100_000


def _not_blank(value: object) -> object:
    if isinstance(value, str) and not value.strip():
        raise PydanticCustomError("blank", "blank")
    return value


Word = Annotated[str, Field(max_length=64)]
NotBlank = Annotated[
    str, BeforeValidator(_not_blank), WithJsonSchema({"type": "string", "pattern": r"\S"})
]
Prompt = Annotated[
    str,
    Field(max_length=PROMPT_MAX),
    BeforeValidator(_not_blank),
    WithJsonSchema({"type": "string", "pattern": r"\S", "maxLength": PROMPT_MAX}),
]


class ReferenceBody(BaseModel):
    """One entry of `reference_images`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    uri: Annotated[NotBlank, Field(description="an address: https://…, runway://… or data:…")]
    tag: Annotated[Word | None, Field(description="the name the prompt calls the image by")] = None
    subject: Annotated[Word | None, Field(description='"human" or "object"')] = None


class GenerationBody(BaseModel):
    """What `POST /v1/images/generations` takes."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    model: Annotated[NotBlank, Field(description="the name of a model of GET /v1/models")]
    prompt: Annotated[
        Prompt,
        Field(description=f"a text that is not blank, of at most {PROMPT_MAX} characters"),
    ]
    n: Annotated[int, Field(ge=1, le=10, description="an integer from 1 to 10")] = 1
    size: Annotated[Word | None, Field(description='"auto" or "WIDTHxHEIGHT" in pixels')] = None
    quality: Annotated[Word | None, Field(description="a quality that the model lists")] = None
    style: Annotated[str | None, Field(description='"vivid", which is the default')] = None
    response_format: Annotated[ResponseFormat | None, Field(description='"url" or "b64_json"')] = (
        None
    )
    output_format: Annotated[Word | None, Field(description="a format the model makes")] = None
    output_compression: Annotated[
        int, Field(ge=0, le=100, description="an integer from 0 to 100")
    ] = 100
    background: Annotated[
        Literal["auto", "transparent", "opaque"] | None,
        Field(description='"auto", "transparent" or "opaque"'),
    ] = None
    moderation: Annotated[Literal["auto", "low"] | None, Field(description='"auto" or "low"')] = (
        None
    )
    user: Annotated[
        str | None, Field(max_length=512, description="a text of at most 512 characters")
    ] = None
    stream: Annotated[bool, Field(description="true or false")] = False
    partial_images: Annotated[int, Field(ge=0, le=3, description="an integer from 0 to 3")] = 0
    seed: Annotated[
        int | None, Field(ge=0, le=2**32 - 1, description="an integer from 0 to 4294967295")
    ] = None
    reference_images: Annotated[
        list[ReferenceBody], Field(max_length=64, description='a list of {"uri": …, "tag": …}')
    ] = []
    metadata: Annotated[
        dict[str, Any],
        AfterValidator(check_metadata),
        Field(description=METADATA),
    ] = {}
    drop_params: Annotated[bool | None, Field(description="true or false")] = None
    timeout: Annotated[
        float | None,
        Field(
            ge=TIMEOUT_MIN_S,
            description=f"a number from {TIMEOUT_MIN_S}: the seconds the job may take",
        ),
    ] = None
    num_retries: Annotated[
        int | None, Field(ge=0, le=10, description="an integer from 0 to 10")
    ] = None
    resubmit_unknown: Annotated[bool | None, Field(description="true or false")] = None
    retry_charged: Annotated[bool | None, Field(description="true or false")] = None
    on_disconnect: Annotated[
        Literal["continue", "cancel"] | None, Field(description='"continue" or "cancel"')
    ] = None
    fallbacks: Annotated[
        list[Annotated[NotBlank, Field(max_length=256)]],
        Field(max_length=10, description="a list of at most 10 names of models"),
    ] = []
    webhook: Annotated[
        WebhookBody | None,
        Field(description='{"url": …}, and a `secret` where it has one of its own'),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How the caller wants to be answered and served: no part of what is bought."""

    policy: Policy
    stream: bool = False
    response_format: ResponseFormat | None = None
    """None leaves it to the way of answering: an address in a plain answer, the bytes in a stream."""
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request's body, read."""

    generation: GenerationRequest
    delivery: Delivery
    files: Files = field(default_factory=dict)
    """Those that the generation's references mean."""


def read_generation(document: Mapping[str, Any], *, model: str | None = None) -> Asked:
    """Return what a body asks for. `model` is the one in the address, where there is one.

    A field that is null counts as absent. Raises `BadRequestError` naming the field and what it accepts.
    """
    fields = {name: value for name, value in document.items() if value is not None}
    if model is not None and fields.setdefault("model", model) != model:
        raise BadRequestError("`model` must be the model in the address, or absent.", param="model")
    try:
        body = GenerationBody.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise _refusal(first["type"], first["loc"]) from None
    return Asked(
        generation=_generation(body),
        delivery=Delivery(
            stream=body.stream,
            response_format=body.response_format,
            timeout_s=body.timeout,
            policy=Policy(
                num_retries=body.num_retries,
                resubmit_unknown=body.resubmit_unknown,
                retry_charged=body.retry_charged,
                on_disconnect=body.on_disconnect,
                fallbacks=tuple(body.fallbacks),
                webhook=_webhook(body.webhook),
            ),
        ),
    )


def _generation(body: GenerationBody) -> GenerationRequest:
    return GenerationRequest(
        model=body.model,
        prompt=body.prompt,
        n=body.n,
        size=body.size,
        quality=body.quality,
        output_format=body.output_format,
        background=body.background,
        moderation=body.moderation,
        seed=body.seed,
        references=tuple(
            Reference(uri=each.uri, tag=each.tag, subject=each.subject)
            for each in body.reference_images
        ),
        options={**(body.model_extra or {}), **_unusual(body)},
        metadata=body.metadata,
        user=body.user,
        drop_params=body.drop_params,
    )


def _webhook(body: WebhookBody | None) -> Webhook | None:
    return None if body is None else Webhook(url=body.url, secret=body.secret)


def _unusual(body: GenerationBody) -> dict[str, object]:
    """Return OpenAI's fields that no model here has, where they ask for more than the default does."""
    options: dict[str, object] = {}
    if body.style not in (None, "vivid"):
        options["style"] = body.style
    if body.output_compression != 100:
        options["output_compression"] = body.output_compression
    return options


_CODES = {
    "missing": "missing_required_parameter",
    "blank": "missing_required_parameter",
    "string_too_long": "string_above_max_length",
}


#: What an object within the body is checked by.
_WITHIN: Mapping[str | int, type[BaseModel]] = {
    "reference_images": ReferenceBody,
    "webhook": WebhookBody,
}

#: What a list's entries must be.
_ENTRIES: Mapping[str | int, str] = {
    "reference_images": "an object with a `uri`",
    "fallbacks": "the name of a model",
}


def _refusal(kind: str, path: tuple[str | int, ...]) -> BadRequestError:
    """Return a fault that pydantic found as our own error; `kind` is its word for it."""
    name = field_name(path)
    within = len(path) > 1 and isinstance(path[-1], str)
    fields = (_WITHIN.get(path[0], GenerationBody) if within else GenerationBody).model_fields
    if kind == "extra_forbidden":
        return UnsupportedParamsError(
            f"`{name}` is not a field here; accepted are {', '.join(fields)}.", param=name
        )
    last = path[-1]
    accepted = fields[last].description if isinstance(last, str) else _ENTRIES[path[0]]
    code = _CODES.get(kind, "invalid_type" if kind.endswith("_type") else "invalid_value")
    verb = "is required, and must be" if kind == "missing" else "must be"
    return BadRequestError(f"`{name}` {verb} {accepted}.", code=code, param=name)
