"""Taxiway: the way onto Runway. Importing it loads nothing; each name loads what it needs on first use."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taxiway.api import (
        aimage_generation,
        completion_cost,
        follow_image_generation,
        image_generation,
    )
    from taxiway.edits import aimage_edit, image_edit
    from taxiway.errors import (
        AuthenticationError,
        BadGatewayError,
        BadRequestError,
        BudgetExceededError,
        ContentPolicyViolationError,
        InternalServerError,
        ModelNotMappedError,
        NotFoundError,
        PermissionDeniedError,
        RateLimitError,
        ServiceUnavailableError,
        TaxiwayError,
        UnsupportedParamsError,
    )
    from taxiway.errors import JobTimeoutError as Timeout
    from taxiway.jobs import Job
    from taxiway.responses import ImageObject, ImageResponse

__version__ = "0.1.0"

_HOMES = {
    "taxiway.api": (
        "aimage_generation",
        "completion_cost",
        "follow_image_generation",
        "image_generation",
    ),
    "taxiway.edits": ("aimage_edit", "image_edit"),
    "taxiway.errors": (
        "AuthenticationError",
        "BadGatewayError",
        "BadRequestError",
        "BudgetExceededError",
        "ContentPolicyViolationError",
        "InternalServerError",
        "ModelNotMappedError",
        "NotFoundError",
        "PermissionDeniedError",
        "RateLimitError",
        "ServiceUnavailableError",
        "TaxiwayError",
        "UnsupportedParamsError",
    ),
    "taxiway.jobs": ("Job",),
    "taxiway.responses": ("ImageObject", "ImageResponse"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AuthenticationError",
    "BadGatewayError",
    "BadRequestError",
    "BudgetExceededError",
    "ContentPolicyViolationError",
    "ImageObject",
    "ImageResponse",
    "InternalServerError",
    "Job",
    "ModelNotMappedError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "ServiceUnavailableError",
    "TaxiwayError",
    "Timeout",
    "UnsupportedParamsError",
    "aimage_edit",
    "aimage_generation",
    "completion_cost",
    "follow_image_generation",
    "image_edit",
    "image_generation",
]


def __getattr__(name: str) -> object:
    """Load a public name on first use."""
    if name == "Timeout":
        return import_module("taxiway.errors").JobTimeoutError
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)
