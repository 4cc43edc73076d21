"""From a request to the body of a Runway task: checked against the catalogue, before anybody is asked.

`RunwayModel` is one deployment's model. It names the request's own field in every refusal, and sends nothing
that the catalogue does not list for the model, since Runway ignores some unknown fields without a word.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from taxiway.catalogue import prices, sizes
from taxiway.catalogue.models import Model, models
from taxiway.errors import BadRequestError, UnsupportedParamsError
from taxiway.jobs import GenerationRequest, Part, Plan, Reference
from taxiway.protocols import ModelCard
from taxiway.providers import runway_fields as fields
from taxiway.settings import Deployment

ENDPOINT = "/v1/text_to_image"
_SIZE = re.compile(r"[1-9][0-9]{0,4}x[1-9][0-9]{0,4}")
_CONTENT_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resolved:
    """A request in Runway's words, without the number of images."""

    body: Mapping[str, Any]
    ratio: str | None
    quality: str | None
    dropped: tuple[str, ...] = ()
    references: int = 0


@dataclass(slots=True)
class _Draft:
    """A body in the making, and the fields left out on the way."""

    drop: bool
    body: dict[str, Any] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)

    def refuse(self, param: str, error: UnsupportedParamsError) -> None:
        """Leave a field out where that is allowed, raise the error where it is not."""
        if not self.drop:
            raise error
        self.dropped.append(param)


class RunwayModel:
    """The model behind one deployment: what it takes, makes and costs."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._model: Model | None = models().get(deployment.model)

    @property
    def endpoint(self) -> str:
        """The path that creates a task."""
        return self._model.endpoint if self._model else ENDPOINT

    def card(self) -> ModelCard:
        """Return what the catalogue knows of the model."""
        model = self._model
        if model is None:
            return ModelCard(
                sizes={},
                default_size=None,
                qualities=(),
                prompt_max=None,
                references_max=None,
                price_microusd=self._deployment.price_microusd,
                known=False,
            )
        return ModelCard(
            sizes=MappingProxyType(dict(self._priced_sizes(model))),
            default_size=sizes.to_size(model.ratio_default),
            qualities=model.quality.values if model.quality else (),
            prompt_max=model.prompt_max,
            references_max=model.references.max if model.references else 0,
            price_microusd=self._deployment.price_microusd,
        )

    def plan(self, request: GenerationRequest) -> Plan:
        """Return the size and the tasks a request comes to. Raises `BadRequestError`."""
        resolved = self._resolve(request)
        return Plan(
            size=sizes.to_size(resolved.ratio),
            dropped=resolved.dropped,
            parts=tuple(
                Part(
                    images=images,
                    credits=self._credits(resolved, images),
                    price_microusd=self._deployment.price_of(images),
                )
                for images in self._shares(request.n)
            ),
        )

    def estimate(self, *, size: str | None, quality: str | None, n: int) -> int | None:
        """Return the micro-USD of `n` images by the catalogue, with as few references as the model takes.

        None where the price is unknown. Raises `BadRequestError` for a size or quality the model has not.
        """
        model = self._model
        if model is None:
            return None
        count = model.references.min if model.references else 0
        request = GenerationRequest(
            model=model.id,
            prompt="",
            size=size,
            quality=quality,
            n=n,
            references=(Reference(uri="https://reference"),) * count,
        )
        return self.plan(request).microusd

    def body(self, request: GenerationRequest, *, images: int) -> dict[str, Any]:
        """Return the JSON body of a task for `images` of the request's images."""
        body = dict(self._resolve(request).body)
        if images > 1:
            body["outputCount"] = images
        return body

    def content_type(self, request: GenerationRequest) -> str:
        """Return the type the images will have, as far as the request tells."""
        model = self._model
        wanted = request.output_format or self._deployment.defaults.get("outputFormat")
        if wanted is None and model is not None and model.output_format is not None:
            wanted = model.output_format.default
        if model is not None and model.id.endswith("_vector"):
            return "image/svg+xml"
        return _CONTENT_TYPES.get(str(wanted), "image/png")

    def _priced_sizes(self, model: Model) -> Iterator[tuple[str, int | None]]:
        minimum = model.references.min if model.references else 0
        for size in sizes.accepted(model, references=minimum):
            ratio = sizes.resolve(model, size, references=minimum, options={})
            yield (
                size,
                prices.credits(
                    model, ratio=ratio, quality=None, images=1, references=minimum, options={}
                ),
            )

    def _credits(self, resolved: _Resolved, images: int) -> int | None:
        if self._model is None:
            return None
        return prices.credits(
            self._model,
            ratio=resolved.ratio,
            quality=resolved.quality,
            images=images,
            references=resolved.references,
            options=resolved.body,
        )

    def _shares(self, n: int) -> Iterator[int]:
        """Yield how many images each task makes, so that as few tasks as possible make `n`."""
        outputs = self._model.outputs if self._model else None
        if outputs is None:
            yield from [1] * n
        elif outputs.values:
            for share in sorted(outputs.values, reverse=True):
                while n >= share:
                    yield share
                    n -= share
        else:
            most = outputs.max or n
            while n > 0:
                yield min(n, most)
                n -= most

    def _resolve(self, request: GenerationRequest) -> _Resolved:
        model = self._model
        defaults = self._deployment.defaults
        draft = _Draft(drop=request.drops(self._deployment.drop_params))
        _check_named_once(request)
        if model is None:
            return self._resolve_unknown(request)
        fields.check_prompt(model, request.prompt)
        draft.body |= {"model": model.id, "promptText": request.prompt}
        draft.body |= {name: value for name, value in defaults.items() if name in model.fields}
        self._put_options(model, request, draft)
        self._put_references(model, request, draft)
        self._put_mask(model, request, draft)
        self._put_choices(model, request, draft)
        references = len(draft.body.get("referenceImages", ()))
        fields.check_needs(model, draft.body, references=references)
        quality = fields.quality(
            model, request.quality, references=references, options=draft.body, refuse=draft.refuse
        )
        if quality is not None:
            draft.body["quality"] = quality
        ratio = self._ratio(model, request, draft, references)
        draft.body.pop("ratio", None)
        if ratio is not None:
            draft.body["ratio"] = ratio
        return _Resolved(
            body=draft.body,
            ratio=ratio,
            quality=draft.body.get("quality"),
            dropped=tuple(draft.dropped),
            references=references,
        )

    def _ratio(
        self, model: Model, request: GenerationRequest, draft: _Draft, references: int
    ) -> str | None:
        preset = draft.body.get("ratio")
        by_ratio = request.size is None or ("ratio" in request.options and not _is_sized(request))
        if by_ratio and isinstance(preset, str):
            if preset in model.ratios or fields.in_free_area(model, preset):
                return preset
            raise BadRequestError(
                f"The model {model.id} has no ratio {preset[:40]!r}; it has {', '.join(model.ratios)}.",
                code="invalid_size",
                param="ratio",
            )
        return sizes.resolve(model, request.size, references=references, options=draft.body)

    def _put_options(self, model: Model, request: GenerationRequest, draft: _Draft) -> None:
        for name, value in request.options.items():
            if name in fields.OPTIONS and name in model.fields:
                draft.body[name] = fields.option(model, name, value)
            else:
                draft.refuse(name, fields.unsupported(model, name))

    def _put_references(self, model: Model, request: GenerationRequest, draft: _Draft) -> None:
        if request.references and model.references is None:
            draft.refuse("reference_images", fields.unsupported(model, "reference_images"))
        elif request.references:
            draft.body["referenceImages"] = fields.references(model, request.references)
        fields.check_reference_count(model, len(draft.body.get("referenceImages", ())))

    def _put_mask(self, model: Model, request: GenerationRequest, draft: _Draft) -> None:
        if request.mask is None:
            return
        if "maskUri" not in model.fields:
            draft.refuse("mask", fields.unsupported(model, "mask"))
            return
        if request.mask.asset is None:
            fields.check_uri(request.mask.uri, param="mask")
        draft.body["maskUri"] = (
            request.mask.uri or "asset"
        )  # what is not prepared is not sent either

    def _put_choices(self, model: Model, request: GenerationRequest, draft: _Draft) -> None:
        if request.seed is not None:
            if "seed" in model.fields:
                draft.body["seed"] = request.seed
            else:
                draft.refuse("seed", fields.unsupported(model, "seed"))
        if request.moderation == "low":
            if "contentModeration" in model.fields:
                draft.body["contentModeration"] = {"publicFigureThreshold": "low"}
            else:
                draft.refuse("moderation", fields.unsupported(model, "moderation"))
        for name, param, choices, idle in (
            ("outputFormat", "output_format", model.output_format, "png"),
            ("background", "background", model.background, "auto"),
        ):
            value = getattr(request, param)
            if choices is None:
                if value not in (None, idle) or (
                    value == "png" and self.content_type(request) == "image/svg+xml"
                ):
                    draft.refuse(param, fields.unsupported(model, param))
            elif value is not None:
                draft.body[name] = fields.choice(model, param, value, choices.values)

    def _resolve_unknown(self, request: GenerationRequest) -> _Resolved:
        """Build the body for a model the catalogue does not know: what is asked, and Runway decides."""
        body: dict[str, Any] = {"promptText": request.prompt, **self._deployment.defaults}
        if request.size is not None and request.size != sizes.AUTO:
            body["ratio"] = (
                request.size.replace("x", ":") if _SIZE.fullmatch(request.size) else request.size
            )
        if request.references:
            body["referenceImages"] = [fields.reference_body(r) for r in request.references]
        optional = {
            "maskUri": request.mask.uri if request.mask else None,
            "seed": request.seed,
            "quality": request.quality if request.quality not in fields.IDLE_QUALITIES else None,
            "outputFormat": request.output_format,
            "background": request.background,
            **request.options,
        }
        body |= {name: value for name, value in optional.items() if value is not None}
        if request.moderation == "low":
            body["contentModeration"] = {"publicFigureThreshold": "low"}
        ratio = body.get("ratio")
        return _Resolved(
            body={"model": self._deployment.model, **body},
            ratio=ratio if isinstance(ratio, str) else None,
            quality=None,
            references=len(request.references),
        )


def _is_sized(request: GenerationRequest) -> bool:
    return request.size not in (None, sizes.AUTO)


def _check_named_once(request: GenerationRequest) -> None:
    """Refuse a caller's `ratio` beside a `size` that is another one: either would be made instead of the other."""
    ratio = request.options.get("ratio")
    if ratio is not None and _is_sized(request) and str(request.size).replace("x", ":") != ratio:
        raise BadRequestError(
            "size and ratio name different shapes; send one of them.",
            code="invalid_size",
            param="ratio",
        )
