"""Who makes images, as far as a configuration must know: one entry a vendor, and nothing else names them all.

A new vendor is an entry here and an adapter under `providers/`, in a file of its own. This module loads no
adapter: a configuration is read without one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

#: Accepted values of a body field; an empty tuple stands for any text or number.
Accepted = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """A vendor by the word before the slash, `runwayml/gen4_image`."""

    name: str
    adapter: str
    """The module and, after a colon, the class that `providers.open_provider` makes."""
    api_base: str
    """Where it is asked unless an entry says otherwise."""
    api_base_example: str
    drops: str = ""
    """An ending of `api_base` that is left out, since the adapter's paths begin with it."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Variable of the environment → the setting it gives: `api_key`, `api_base` or `api_version`.

    Of two for one setting the upper counts.
    """
    versioned: bool = False
    """Whether `api_version` means anything to it."""
    default_model: str = ""
    """What the bare `vendor/` stands for, as LiteLLM has it."""
    catalogued: bool = False
    """Whether its models, their fields and prices are those of the catalogue."""
    makes_images: re.Pattern[str] | None = None
    """Names of models that are known to make images. Others need `mode: image_generation`; None: all do."""
    fields: Mapping[str, Accepted] = field(default_factory=dict)
    """Body fields that an entry may set for every request, where the catalogue does not say it."""

    @property
    def key_variables(self) -> tuple[str, ...]:
        """The variables that its key is expected in, the first one first."""
        return tuple(name for name, sets in self.variables.items() if sets == "api_key")


RUNWAYML = Vendor(
    name="runwayml",
    adapter="taxiway.providers.runway:Runway",
    # For keys of the developer portal; the host without `dev` answers 401 to them.
    api_base="https://api.dev.runwayml.com",
    api_base_example="https://api.dev.runwayml.com",
    drops="/v1",
    variables=MappingProxyType(
        {
            "RUNWAYML_API_SECRET": "api_key",
            "RUNWAYML_API_KEY": "api_key",
            "RUNWAYML_API_BASE": "api_base",
            "RUNWAYML_DEFAULT_API_VERSION": "api_version",
        }
    ),
    versioned=True,
    default_model="gen4_image",
    catalogued=True,
)

OPENAI = Vendor(
    name="openai",
    adapter="taxiway.providers.openai:OpenAI",
    api_base="https://api.openai.com/v1",
    api_base_example="https://api.openai.com/v1",
    variables=MappingProxyType(
        {
            "OPENAI_API_KEY": "api_key",
            "OPENAI_BASE_URL": "api_base",
            "OPENAI_API_BASE": "api_base",
        }
    ),
    makes_images=re.compile(r"dall-e-\d.*|(chat)?gpt-image-.*"),
    fields=MappingProxyType(
        {
            "size": (),
            "quality": (),
            "style": ("vivid", "natural"),
            "response_format": ("url", "b64_json"),
            "output_format": ("png", "jpeg", "webp"),
            "output_compression": (),
            "background": ("auto", "transparent", "opaque"),
            "moderation": ("auto", "low"),
            "user": (),
        }
    ),
)

#: By name, in the order in which they are told.
VENDORS: Mapping[str, Vendor] = MappingProxyType({each.name: each for each in (RUNWAYML, OPENAI)})


def vendor_of(model: str) -> Vendor | None:
    """Return the vendor that is known to make images by a model without a prefix; the catalogue's apart."""
    for vendor in VENDORS.values():
        if vendor.makes_images is not None and vendor.makes_images.fullmatch(model):
            return vendor
    return None
