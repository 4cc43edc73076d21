"""The bodies of the `/key` routes, in LiteLLM's words.

What LiteLLM has and this service does not is told apart by what its absence would do. A field whose loss would
let a key do more than was meant is refused; any other has no effect, and the answer warns of it.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from taxiway.errors import BadRequestError, UnsupportedParamsError
from taxiway.periods import ACCEPTED as PERIOD
from taxiway.periods import read_period
from taxiway.server.json_bodies import field_name
from taxiway.server.metadata import ACCEPTED as METADATA
from taxiway.server.metadata import check_metadata

#: A million dollars a thousand times: whoever needs more leaves the limit out.
USD_MAX = 1e9

#: The `duration` of a key that does not expire.
FOR_EVER = "-1"

_COUNT_MAX = 1_000_000
_PERIOD = r"^[1-9][0-9]{0,8}(s|mo|m|h|d|w)$"


def _period(text: str) -> str:
    if text != FOR_EVER and read_period(text) is None:
        raise PydanticCustomError("period", "period")
    return text


_Period = Annotated[str, Field(pattern=_PERIOD), AfterValidator(_period)]
_Duration = Annotated[str, Field(pattern=rf"{_PERIOD}|^{FOR_EVER}$"), AfterValidator(_period)]
_Label = Annotated[str, Field(min_length=1, max_length=256, pattern=r"\S")]
_Text = Annotated[str, Field(max_length=256)]
_Usd = Annotated[float, Field(ge=0, le=USD_MAX)]
_Count = Annotated[int, Field(ge=1, le=_COUNT_MAX)]
_Secret = Annotated[str, Field(min_length=16, max_length=256, pattern=r"^sk-[!-~]+$")]
_KeyOrId = Annotated[str, Field(min_length=1, max_length=256)]
_COUNTED = f"an integer from 1 to {_COUNT_MAX}"
_SHOWN = "a key, or the `token` of one"


class KeyFields(BaseModel):
    """What a key may do."""

    # Built when it is first used: many a service never has a key to make.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)

    key_alias: Annotated[
        _Label | None, Field(description="a label of at most 256 characters that no other key has")
    ] = None
    models: Annotated[
        list[_Label] | None,
        Field(max_length=256, description="a list of names of models; empty: all of them"),
    ] = None
    max_budget: Annotated[
        _Usd | None, Field(description=f"a number of US dollars from 0 to {USD_MAX:.0f}")
    ] = None
    budget_duration: Annotated[_Period | None, Field(description=PERIOD)] = None
    rpm_limit: Annotated[_Count | None, Field(description=_COUNTED)] = None
    max_parallel_requests: Annotated[_Count | None, Field(description=_COUNTED)] = None
    duration: Annotated[
        _Duration | None, Field(description=f"{PERIOD}, or {FOR_EVER} for ever")
    ] = None
    metadata: Annotated[dict[str, Any] | None, Field(description=METADATA)] = None
    tags: Annotated[
        list[_Label] | None, Field(max_length=64, description="a list of at most 64 texts")
    ] = None
    user_id: Annotated[_Text | None, Field(description="a text of at most 256 characters")] = None
    team_id: Annotated[_Text | None, Field(description="a text of at most 256 characters")] = None
    blocked: Annotated[bool | None, Field(description="true or false")] = None


class KeyGenerateBody(KeyFields):
    """What `POST /key/generate` takes."""

    key: Annotated[
        _Secret | None,
        Field(description="a key of your own: sk- and at least 13 printable characters more"),
    ] = None


class KeyUpdateBody(KeyFields):
    """What `POST /key/update` takes: absent keeps, null clears."""

    key: Annotated[_KeyOrId | None, Field(description=_SHOWN)] = None
    spend: Annotated[
        _Usd | None, Field(description=f"a number of US dollars from 0 to {USD_MAX:.0f}")
    ] = None


class KeyDeleteBody(BaseModel):
    """What `POST /key/delete` takes: one of the two."""

    # Built when it is first used: many a service never has a key to make.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)

    keys: Annotated[
        list[_KeyOrId] | None,
        Field(min_length=1, max_length=100, description="a list of 1 to 100 keys, or their tokens"),
    ] = None
    key_aliases: Annotated[
        list[_KeyOrId] | None,
        Field(min_length=1, max_length=100, description="a list of 1 to 100 aliases"),
    ] = None


class KeyBody(BaseModel):
    """What `POST /key/block`, `/key/unblock` and `/key/regenerate` take."""

    # Built when it is first used: many a service never has a key to make.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)

    key: Annotated[_KeyOrId, Field(description=_SHOWN)]


B = TypeVar("B", bound=BaseModel)

#: LiteLLM's fields whose loss would let a key do more than was meant.
_REFUSED = frozenset(
    (
        *("aliases", "allowed_cache_controls", "allowed_passthrough_routes"),
        *("allowed_routes", "access_group_ids", "budget_limits", "enforced_params"),
        *("guardrails", "key_type", "model_max_budget", "model_rpm_limit"),
        *("object_permission", "permissions", "policies", "temp_budget_expiry"),
        *("temp_budget_increase",),
    )
)

#: LiteLLM's further fields.
_IDLE = frozenset(
    (
        *("agent_id", "allowed_vector_store_indexes", "auto_rotate", "budget_id", "cache"),
        *("config", "disable_global_guardrails", "model_tpm_limit", "organization_id"),
        *("project_id", "prompts", "rotation_interval", "router_settings", "rpm_limit_type"),
        *("send_invite_email", "soft_budget", "tpd_limit", "tpm_limit", "tpm_limit_type"),
    )
)

#: What such a field may say without asking for anything.
_NOTHING: tuple[object, ...] = (None, "", [], {}, False)

#: The kinds of keys that are no restriction here.
_PLAIN_KINDS = ("default", "llm_api")


def read_fields(document: Mapping[str, Any], kind: type[KeyFields]) -> tuple[KeyFields, list[str]]:
    """Return the fields of a body, and a sentence for each that has no effect.

    Raises `BadRequestError` that names the field and what it accepts.
    """
    warnings = list(_warnings(document))
    known = {name: value for name, value in document.items() if name not in _REFUSED | _IDLE}
    fields = read_body(known, kind)
    if fields.metadata is not None:
        check_metadata(fields.metadata)
    return fields, warnings


def read_body(document: Mapping[str, Any], kind: type[B]) -> B:
    """Return a body. Raises `BadRequestError` that names the field and what it accepts."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    raise _refusal(kind, first["type"], first["loc"])


def _warnings(document: Mapping[str, Any]) -> Iterator[str]:
    for name, value in document.items():
        if value in _NOTHING or (name == "key_type" and value in _PLAIN_KINDS):
            continue
        if name in _REFUSED:
            raise UnsupportedParamsError(
                f"`{name}` would restrict the key, and is not supported here; leave it out.",
                param=name,
            )
        if name in _IDLE:
            yield f"`{name}` has no effect here."


def _refusal(kind: type[BaseModel], fault: str, path: tuple[str | int, ...]) -> BadRequestError:
    name = field_name(path)
    fields = kind.model_fields
    if fault == "extra_forbidden":
        near = get_close_matches(name, fields, n=1)
        hint = f"did you mean `{near[0]}`? Accepted" if near else "accepted"
        return UnsupportedParamsError(
            f"`{name}` is not a field here; {hint} are {', '.join(fields)}.", param=name
        )
    field = fields[str(path[0])]
    verb = "is required, and must be" if fault == "missing" else "must be"
    code = "invalid_type" if fault.endswith("_type") else "invalid_value"
    if fault == "missing":
        code = "missing_required_parameter"
    name = str(path[0])
    return BadRequestError(
        f"`{name}` {verb} {field.description}.", code=code, param=field_name(path)
    )
