"""From a request to the body of an `/images/generations`: OpenAI's own models are checked."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from taxiway.errors import BadRequestError, UnsupportedParamsError
from taxiway.jobs import GenerationRequest, Part, Plan
from taxiway.protocols import ModelCard
from taxiway.settings import Deployment

#: Images that one call makes at most, where nothing else is known.
AT_ONCE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """OpenAI's own models of one kind. Of any other model nothing is known, and nothing checked."""

    prefix: str
    sizes: tuple[str, ...]
    qualities: tuple[str, ...]
    at_once: int
    prompt_max: int
    fields: frozenset[str]
    """What it has beside prompt, size, quality, n and user."""


_WIDE, _TALL, _SQUARE = "1536x1024", "1024x1536", "1024x1024"
_DALLE = frozenset({"response_format"})
_GPT = frozenset({"background", "moderation", "output_format", "output_compression"})

FAMILIES = (
    Family(
        prefix="dall-e-2",
        sizes=("256x256", "512x512", _SQUARE),
        qualities=("standard",),
        at_once=10,
        prompt_max=1_000,
        fields=_DALLE,
    ),
    Family(
        prefix="dall-e-3",
        sizes=(_SQUARE, "1792x1024", "1024x1792"),
        qualities=("standard", "hd"),
        at_once=1,
        prompt_max=4_000,
        fields=_DALLE | {"style"},
    ),
    Family(
        prefix="gpt-image-",
        sizes=(_SQUARE, _WIDE, _TALL),
        qualities=("low", "medium", "high"),
        at_once=10,
        prompt_max=32_000,
        fields=_GPT,
    ),
)

#: Sizes that every model answers, with its nearest picture.
COMMON = ("1024x1024", "1792x1024", "1024x1792", "1920x1080", "1080x1920")

#: Values that ask for nothing.
_IDLE: Mapping[str, tuple[str, ...]] = {
    "quality": ("auto", "standard"),
    "output_format": ("png",),
    "background": ("auto",),
    "moderation": ("auto",),
    "style": ("vivid",),
}


@dataclass(slots=True)
class _Draft:
    """A body in the making, and the fields left out on the way."""

    deployment: Deployment
    drop: bool
    body: dict[str, Any] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)

    def refuse(self, param: str) -> None:
        """Leave a field out where that is allowed. Raises `UnsupportedParamsError` where it is not."""
        if not self.drop:
            raise UnsupportedParamsError(
                f"The model {self.deployment.model} has no field {param[:80]!r}.", param=param[:80]
            )
        self.dropped.append(param)


class OpenAIModel:
    """The model behind one deployment: what it takes, and what it costs by its owner's word."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        known = (each for each in FAMILIES if deployment.model.startswith(each.prefix))
        self._family = next(known, None)

    def card(self) -> ModelCard:
        """Return what is known of the model."""
        family = self._family
        return ModelCard(
            sizes={} if family is None else dict.fromkeys(_accepted(family)),
            default_size=None,
            qualities=() if family is None else family.qualities,
            prompt_max=None if family is None else family.prompt_max,
            references_max=0,
            price_microusd=self._deployment.price_microusd,
            known=family is not None,
        )

    def plan(self, request: GenerationRequest) -> Plan:
        """Return the size and the calls a request comes to. Raises `BadRequestError`."""
        draft = self._drafted(request)
        size = draft.body.get("size")
        most = AT_ONCE if self._family is None else self._family.at_once
        shares = [most] * (request.n // most) + [request.n % most] * (request.n % most > 0)
        return Plan(
            size=size if isinstance(size, str) and "x" in size else None,
            dropped=tuple(draft.dropped),
            parts=tuple(
                Part(images=n, credits=None, price_microusd=self._deployment.price_of(n))
                for n in shares
            ),
        )

    def body(self, request: GenerationRequest, *, images: int) -> dict[str, Any]:
        """Return the JSON body of a call for `images` of the request's images."""
        return {**self._drafted(request).body, "n": images}

    def _drafted(self, request: GenerationRequest) -> _Draft:
        draft = _Draft(
            deployment=self._deployment,
            drop=request.drops(self._deployment.drop_params),
            body=dict(self._deployment.defaults),
        )
        draft.body |= {"model": self._deployment.model, "prompt": request.prompt}
        if request.references or request.mask is not None:
            draft.refuse("reference_images" if request.references else "mask")
        self._put_choices(request, draft)
        if request.user is not None:
            draft.body["user"] = request.user
        if self._family is None:
            draft.body |= {
                name: value
                for name, value in (("size", request.size), ("quality", request.quality))
                if value is not None
            }
        else:
            self._put_known(self._family, request, draft)
        return draft

    def _put_choices(self, request: GenerationRequest, draft: _Draft) -> None:
        asked = {
            "output_format": request.output_format,
            "background": request.background,
            "moderation": request.moderation,
            "seed": request.seed,
            **request.options,
        }
        for name, value in asked.items():
            idle = value in _IDLE.get(name, ()) and name not in draft.body
            if value is None or idle:
                continue
            if self._family is not None and name not in self._family.fields:
                draft.refuse(name)
            else:
                draft.body[name] = value

    def _put_known(self, family: Family, request: GenerationRequest, draft: _Draft) -> None:
        model, length = self._deployment.model, len(request.prompt)
        if length > family.prompt_max:
            raise BadRequestError(
                f"The prompt has {length} characters; {model} takes {family.prompt_max}.",
                code="string_above_max_length",
                param="prompt",
            )
        if request.size == "auto":
            draft.body.pop("size", None)
        elif request.size is not None:
            draft.body["size"] = _size(family, request.size, model=model)
        if request.quality in family.qualities:
            draft.body["quality"] = request.quality
        elif request.quality is not None and request.quality not in _IDLE["quality"]:
            raise BadRequestError(
                f"`quality` must be one of auto, {', '.join(family.qualities)}.", param="quality"
            )


def _accepted(family: Family) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("auto", *family.sizes, *COMMON)))


def _size(family: Family, size: str, *, model: str) -> str:
    if size in family.sizes:
        return size
    if size in COMMON:
        return min(family.sizes, key=lambda made: _distance(made, size))
    raise BadRequestError(
        f"The model {model} does not make the size {size!r}; it takes {', '.join(_accepted(family))}.",
        code="invalid_size",
        param="size",
    )


def _distance(made: str, wanted: str) -> tuple[float, int]:
    """Return how far a picture is from the wanted one: shape first, then the larger."""
    (width, height), (wanted_width, wanted_height) = (
        map(int, size.split("x")) for size in (made, wanted)
    )
    return abs(math.log(width * wanted_height / (height * wanted_width))), -width * height
