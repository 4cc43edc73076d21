"""The entries of the catalogue: what is known of a model, and nothing that is done with it.

Every optional value is None where nobody has published the fact. Fields of a request's body bear the
vendor's names (`outputCount`), since they are the vendor's facts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class UnknownKeys(StrEnum):
    """What the vendor does with a body key that the model does not have."""

    IGNORE = "ignore"
    REFUSE = "refuse"


class Per(StrEnum):
    """What a surcharge is counted on."""

    REQUEST = "request"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The words a field takes, and the one that stands when it is absent (None: unknown)."""

    values: tuple[str, ...]
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """How many images one task may be asked for: the listed `values`, else the bounds that are known."""

    min: int | None = None
    max: int | None = None
    values: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """How many reference images a request may carry, and which keys each of them may have."""

    min: int = 0
    max: int | None = None
    keys: tuple[str, ...]
    human_max: int | None = None
    object_max: int | None = None
    unique_tags: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityWithReferences:
    """What changes about `quality` beside a reference image, unless one of some fields is set.

    Then `default` stands instead of the model's own. The `values` are allowed then, and only then.
    """

    default: str
    values: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """The credits of one image. None for tier or quality: whichever it is."""

    tier: str | None = None
    quality: str | None = None
    credits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Surcharge:
    """The credits each reference image adds, once per request or for every image made."""

    credits: int
    per: Per


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """The ratios that cost the same."""

    name: str
    ratios: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What is known of a model's price. An image that no rate fits has an unknown price."""

    rates: tuple[Rate, ...] = ()
    reference: Surcharge | None = None
    tiers: tuple[Tier, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One image model. The head of `models.toml` says what each value means."""

    id: str
    provider: str
    endpoint: str
    fields: tuple[str, ...]
    required: tuple[str, ...]
    unknown_keys: UnknownKeys | None = None
    #: In UTF-16 code units, as the vendor's server counts.
    prompt_max: int | None = None
    ratios: tuple[str, ...]
    ratio_default: str | None = None
    #: The least and the most pixels of a ratio outside the list; None: the list is all there is.
    free_area: tuple[int, int] | None = None
    ratios_only_with_references: tuple[str, ...] = ()
    ratios_only_without_references: tuple[str, ...] = ()
    ratio_needs_references: int = 0
    ratio_excluded_by: tuple[str, ...] = ()
    fields_need_references: tuple[str, ...] = ()
    outputs: Outputs | None = None
    quality: Choices | None = None
    quality_with_references: QualityWithReferences | None = None
    output_format: Choices | None = None
    background: Choices | None = None
    thinking_level: Choices | None = None
    references: References | None = None
    price: Price | None = None


def is_set(options: Mapping[str, object], names: tuple[str, ...]) -> bool:
    """Return whether any of the named body fields is set; one that is None or False is not."""
    return any(options.get(name) not in (None, False) for name in names)
