"""What the Python API returns: OpenAI's shapes, with attribute and item access, and without pydantic."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import orjson

from taxiway.errors import BadRequestError, ModelNotMappedError
from taxiway.jobs import Job


class _Record:
    """Item access and dumps for a dataclass. Fields that begin with an underscore are not dumped."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        if name in self.keys():
            return getattr(self, name)
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return name in set(self.keys())

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field, or the default for a name that is none."""
        return getattr(self, name) if name in self else default

    def keys(self) -> Iterator[str]:
        """Yield the names of the fields."""
        return (f.name for f in fields(self) if not f.name.startswith("_"))  # type: ignore[arg-type]

    def model_dump(self) -> dict[str, Any]:
        """Return the record as plain dictionaries and lists."""
        dump: dict[str, Any] = asdict(self)  # type: ignore[call-overload]
        return {name: value for name, value in dump.items() if not name.startswith("_")}

    def model_dump_json(self) -> str:
        """Return the record as JSON."""
        return orjson.dumps(self.model_dump()).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageObject(_Record):
    """One image: its address, or its bytes in base64 where `response_format="b64_json"` asked for them."""

    url: str | None = None
    b64_json: str | None = None
    revised_prompt: str | None = None
    provider_specific_fields: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputTokensDetails(_Record):
    """Zeros: images are not billed by tokens here."""

    image_tokens: int = 0
    text_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage(_Record):
    """Zeros, for programs that read it: the cost is in `completion_cost`."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    input_tokens_details: InputTokensDetails = field(default_factory=InputTokensDetails)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageResponse(_Record):
    """A finished generation. `_hidden_params` holds the cost and the job behind it."""

    created: int
    data: list[ImageObject]
    size: str | None = None
    quality: str | None = None
    background: str | None = None
    output_format: str | None = None
    usage: Usage = field(default_factory=Usage)
    _hidden_params: dict[str, Any] = field(default_factory=dict)


def cost_of(response: object) -> float:
    """Return what a response says that it cost, in US dollars.

    Raises `BadRequestError` for what does not say it, `ModelNotMappedError` where the vendor did not.
    """
    hidden = getattr(response, "_hidden_params", None)
    cost = hidden.get("response_cost", ...) if isinstance(hidden, Mapping) else ...
    if cost is None:
        raise ModelNotMappedError("The provider has not said what this image cost.")
    if isinstance(cost, bool) or not isinstance(cost, int | float):
        raise BadRequestError(
            "completion_response must be what image_generation has returned, with its cost; "
            f"this one is of the type {type(response).__name__}. "
            "Without it, model, size, quality and n give an estimate.",
            param="completion_response",
            code="invalid_value",
        )
    return float(cost)


def image_response(
    job: Job, *, api_base: str, call_id: str, base64_images: list[str] | None = None
) -> ImageResponse:
    """Return a completed job as the response of `image_generation`."""
    request = job.request
    data = [
        ImageObject(b64_json=base64_images[i])
        if base64_images is not None
        else ImageObject(url=image.url)
        for i, image in enumerate(job.images)
    ]
    started_at = job.started_at or job.created_at
    finished_at = job.finished_at or started_at
    return ImageResponse(
        created=int(finished_at),
        data=data,
        size=job.size,
        quality=request.quality,
        background=request.background,
        output_format=request.output_format,
        _hidden_params={
            "response_cost": None if job.microusd is None else job.microusd / 1_000_000,
            "credits": job.credits,
            "cost_microusd": job.microusd,
            "cost_final": job.cost_final,
            "model_id": job.attempts[-1].deployment if job.attempts else None,
            "api_base": api_base,
            "litellm_call_id": call_id,
            "litellm_model_name": request.model,
            "job_id": job.id,
            "attempts": len(job.attempts),
            "_response_ms": round((finished_at - job.created_at) * 1000, 1),
        },
    )
