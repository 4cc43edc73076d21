"""The `webhook` of a request: whom to tell of the job's end."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from taxiway.deliveries import is_webhook_secret

URL_MAX = 2048


def _address(value: str) -> str:
    parts = urlsplit(value)
    usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    if not usable or "@" in parts.netloc or "#" in value or not _plain(value):
        raise ValueError("no address")
    return value


def _secret(value: str) -> str:
    if not is_webhook_secret(value):
        raise ValueError("no secret")
    return value


def _plain(value: str) -> bool:
    return value.isascii() and value.isprintable() and " " not in value


class WebhookBody(BaseModel):
    """Whom to tell of the job's end, by Standard Webhooks."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    url: Annotated[
        str,
        Field(
            max_length=URL_MAX,
            description="an address that begins with https://, in ASCII, without a password",
            json_schema_extra={"format": "uri", "pattern": "^https?://"},
        ),
        AfterValidator(_address),
    ]
    secret: Annotated[
        Annotated[str, AfterValidator(_secret)] | None,
        Field(description="`whsec_` and 24 to 64 bytes in base64"),
    ] = None
