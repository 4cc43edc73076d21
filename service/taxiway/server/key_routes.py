"""`/key/…`: virtual keys are made, changed and deleted by whoever has the master key."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from taxiway.errors import BadRequestError, NotFoundError, PermissionDeniedError, cut
from taxiway.key_store import KeyQuery, secret_taken
from taxiway.keys import PREFIX, Account, Key, changed, name_of, new_key_id, new_secret, opened
from taxiway.periods import read_period
from taxiway.server.access import identity_of
from taxiway.server.answers import NO_STORE, json_answer
from taxiway.server.auth import same_secret
from taxiway.server.identity import ALL_MODELS, NO_MODELS, Identity
from taxiway.server.json_bodies import read_object
from taxiway.server.key_bodies import (
    KeyBody,
    KeyDeleteBody,
    KeyFields,
    KeyGenerateBody,
    KeyUpdateBody,
    read_body,
    read_fields,
)
from taxiway.server.key_bounds import bounded, defaults
from taxiway.server.key_documents import key_document
from taxiway.server.key_queries import read_key_query
from taxiway.server.keys import CLOCK, FLEET, KEYRING, LOGS, RUNNER, SETTINGS, STORE
from taxiway.server.queries import check_names
from taxiway.settings import KeyParams

#: Fields of a body for which the configuration may have a most.
_LIMITS = frozenset(
    {"max_budget", "budget_duration", "duration", "rpm_limit", "max_parallel_requests"}
)

#: Fields of a body that a key has under another name, or in another unit.
_OTHERWISE = frozenset({"key", "key_alias", "max_budget", "duration", "spend", "models", "tags"})


async def generate_key(request: web.Request) -> web.Response:
    """Make a virtual key, and answer with it: this is the only time that it is shown."""
    _check_master(request)
    fields, warnings = read_fields(await read_object(request), KeyGenerateBody)
    app, now = request.app, request.app[CLOCK].now()
    secret = _own_secret(request, fields) or new_secret()
    blank = Key(id=new_key_id(now), name=name_of(secret), created_at=now, updated_at=now)
    given = {name: value for name, value in fields if value is not None}
    changes = {**defaults(app[RUNNER].settings.key_defaults, at=now), **_changes(given, now)}
    key = bounded(replace(blank, **changes), app[RUNNER].settings.key_bounds, at=now)
    account = opened(key, at=now)
    await app[STORE].add_key(account, digest=await app[KEYRING].digest(secret))
    app[KEYRING].learn(account)
    app[LOGS].note("key.created", key_id=account.key.id)
    row = {"key": secret, **_row(account, now), "token_id": account.key.id}
    return json_answer(
        {**row, "warnings": [*warnings, *_strange(request, fields)]}, headers=NO_STORE
    )


async def get_key_info(request: web.Request) -> web.Response:
    """Answer with a virtual key and what it has spent; without `key` with the caller's own.

    Raises `NotFoundError`, also for another key than the caller's own.
    """
    check_names(request.query, ("key",))
    identity, shown = identity_of(request), request.query.get("key")
    if identity.key is None:
        _check_master(request)
    if not shown:
        if identity.key is None:
            raise BadRequestError(
                "`key` is required: the master key has no limits to show.",
                code="missing_required_parameter",
                param="key",
            )
        shown = identity.key.id
    account = await _found(request, shown)
    if identity.key is not None and account.key.id != identity.key.id:
        raise _unknown(shown)
    row = _row(account, request.app[CLOCK].now())
    return json_answer({"key": _unsaid(shown), "info": row}, headers=NO_STORE)


async def update_key(request: web.Request) -> web.Response:
    """Change a virtual key, and answer with it: fields that are absent stay, null clears one.

    Raises `NotFoundError`.
    """
    _check_master(request)
    document = await read_object(request)
    fields, warnings = read_fields(document, KeyUpdateBody)
    given = {name: getattr(fields, name) for name in fields.model_fields_set}
    shown = given.pop("key", None)
    if shown is None:
        # LiteLLM lets the alias say which key is meant.
        alias = given.pop("key_alias", None)
        if alias is None:
            raise BadRequestError(
                "`key` is required, or `key_alias` in its place.",
                code="missing_required_parameter",
                param="key",
            )
        account = await _with_alias(request, alias)
    else:
        account = await _found(request, shown)
    now = request.app[CLOCK].now()
    bounds = request.app[RUNNER].settings.key_bounds
    account = await _change(request, account, lambda before: _updated(before, given, bounds, now))
    answer = {"key": _unsaid(shown or account.key.id), **_row(account, now)}
    return json_answer(
        {**answer, "warnings": [*warnings, *_strange(request, fields)]}, headers=NO_STORE
    )


async def delete_keys(request: web.Request) -> web.Response:
    """Delete virtual keys, and answer with those that were there. Their jobs go on, and stay in the books.

    Raises `NotFoundError` where none of them was.
    """
    _check_master(request)
    body = read_body(await read_object(request), KeyDeleteBody)
    if (body.keys is None) == (body.key_aliases is None):
        raise BadRequestError("Either `keys` or `key_aliases` is required, not both.", param="keys")
    find = _found if body.keys is not None else _with_alias
    deleted: list[str] = []
    now = request.app[CLOCK].now()
    for shown in dict.fromkeys(body.keys or body.key_aliases or ()):
        try:
            account = await find(request, shown)
        except NotFoundError:
            continue
        await _change(request, account, lambda before: _edited(before, now, deleted_at=now))
        deleted.append(account.key.id if body.keys is not None else shown)
    if not deleted:
        raise NotFoundError("None of these keys exists.", code="key_not_found", param="keys")
    return json_answer({"deleted_keys": deleted}, headers=NO_STORE)


async def regenerate_key(request: web.Request) -> web.Response:
    """Give a virtual key another secret, and answer with it: the old one opens nothing from now on.

    What it may do and has spent stays. Raises `NotFoundError`.
    """
    _check_master(request)
    body = read_body(await read_object(request), KeyBody)
    account, now = await _found(request, body.key), request.app[CLOCK].now()
    secret = new_secret()
    account = await _change(
        request,
        account,
        lambda before: _edited(before, now, name=name_of(secret)),
        digest=await request.app[KEYRING].digest(secret),
    )
    row = {"key": secret, **_row(account, now), "token_id": account.key.id, "warnings": []}
    return json_answer(row, headers=NO_STORE)


async def block_key(request: web.Request) -> web.Response:
    """Block a virtual key: it opens nothing until it is unblocked. Raises `NotFoundError`."""
    return await _set_blocked(request, blocked=True)


async def unblock_key(request: web.Request) -> web.Response:
    """Let a virtual key in again. Raises `NotFoundError`."""
    return await _set_blocked(request, blocked=False)


async def list_keys(request: web.Request) -> web.Response:
    """Answer with a page of the virtual keys: their ids, or with `return_full_object` all of each."""
    _check_master(request)
    asked = read_key_query(request.query)
    now = request.app[CLOCK].now()
    accounts, total = await request.app[STORE].list_keys(asked.query, now=now)
    full = [_row(account, now) for account in accounts]
    return json_answer(
        {
            "keys": full if asked.full else [account.key.id for account in accounts],
            "total_count": total,
            "current_page": asked.page,
            "total_pages": -(-total // asked.query.limit),
        },
        headers=NO_STORE,
    )


def _own_secret(request: web.Request, fields: KeyFields) -> str | None:
    """Return the key that the body brings along, if it does. Raises `BadRequestError` for the master key."""
    secret: str | None = getattr(fields, "key", None)
    master = request.app[SETTINGS].master_key
    if secret is not None and master is not None and same_secret(secret, master):
        raise secret_taken()
    return secret


async def _set_blocked(request: web.Request, *, blocked: bool) -> web.Response:
    _check_master(request)
    body = read_body(await read_object(request), KeyBody)
    account, now = await _found(request, body.key), request.app[CLOCK].now()
    account = await _change(request, account, lambda before: _edited(before, now, blocked=blocked))
    return json_answer(_row(account, now), headers=NO_STORE)


async def _change(
    request: web.Request,
    account: Account,
    change: Callable[[Account], Account],
    *,
    digest: bytes | None = None,
) -> Account:
    after = await request.app[STORE].change_key(account.key.id, change, digest=digest)
    if after is None:
        raise _unknown(account.key.id)
    request.app[KEYRING].learn(after)
    request.app[LOGS].note("key.changed", key_id=after.key.id)
    return after


def _updated(account: Account, given: dict[str, Any], bounds: KeyParams, now: float) -> Account:
    """Return the account with what a body says, null clearing a field."""
    account = account.at(now)
    if (spend := given.get("spend")) is not None:
        account = replace(account, spent_microusd=_microusd(spend))
    edited = _edited(account, now, **_changes(given, now))
    if not given.keys() & _LIMITS:
        return edited
    return changed(edited, bounded(edited.key, bounds, at=now), at=now)


def _edited(account: Account, now: float, **changes: Any) -> Account:
    return changed(account, replace(account.key, updated_at=now, **changes), at=now)


def _changes(given: dict[str, Any], now: float) -> dict[str, Any]:
    """Return the fields of a body as those of a key."""
    found = {name: value for name, value in given.items() if name not in _OTHERWISE}
    for name, blank in (("metadata", {}), ("blocked", False)):
        if name in found and found[name] is None:
            found[name] = blank
    for name in ("models", "tags"):
        if name in given:
            found[name] = tuple(dict.fromkeys(given[name] or ()))
    if "key_alias" in given:
        found["alias"] = given["key_alias"]
    if "max_budget" in given:
        budget = given["max_budget"]
        found["max_budget_microusd"] = None if budget is None else _microusd(budget)
    if "duration" in given:
        period = None if given["duration"] is None else read_period(given["duration"])
        found["expires_at"] = None if period is None else period.after(now)
    return found


def _microusd(usd: float) -> int:
    """Return an amount in whole micro-USD, a half rounded up."""
    return int(usd * 1_000_000 + 0.5)


def _strange(request: web.Request, fields: KeyFields) -> Sequence[str]:
    """Return a sentence for each model that is not on offer: it may be a slip, or come tomorrow."""
    fleet = request.app[FLEET]
    groups = {group for each in fleet.stations for group in each.deployment.access_groups}
    known = {ALL_MODELS, NO_MODELS, *groups}
    return [
        f"`models` names {cut(name)!r}, which is not on offer at the moment."
        for name in fields.models or ()
        if name not in known and "*" not in name and not fleet.serving(name)
    ]


def _row(account: Account, now: float) -> dict[str, Any]:
    return key_document(account, now=now)


async def _found(request: web.Request, shown: str) -> Account:
    """Return the account of a key that is given by itself or by its id. Raises `NotFoundError`."""
    store = request.app[STORE]
    if shown.startswith(PREFIX):
        account = await store.key_of(await request.app[KEYRING].digest(shown))
    else:
        account = await store.get_key(shown)
    if account is None or account.key.deleted_at is not None:
        raise _unknown(shown)
    return account


async def _with_alias(request: web.Request, alias: str) -> Account:
    query = KeyQuery(alias=alias, limit=1)
    found, _ = await request.app[STORE].list_keys(query, now=request.app[CLOCK].now())
    if not found:
        raise NotFoundError(
            f"There is no key with the alias {cut(alias)!r}.",
            code="key_not_found",
            param="key_alias",
        )
    return found[0]


def _unknown(shown: str) -> NotFoundError:
    return NotFoundError(f"There is no key {_unsaid(shown)!r}.", code="key_not_found", param="key")


def _unsaid(shown: str) -> str:
    """Return what an answer may repeat: a key itself is shown once, when it is made."""
    return name_of(shown) if shown.startswith(PREFIX) else cut(shown)


def _check_master(request: web.Request) -> None:
    """Raise `PermissionDeniedError` for whoever has not shown the master key, and where there is none."""
    if request.app[SETTINGS].master_key is None:
        raise PermissionDeniedError(
            "Virtual keys need a master key; set TAXIWAY_MASTER_KEY or general_settings.master_key.",
            code="master_key_required",
        )
    if identity_of(request) != Identity():
        raise PermissionDeniedError("This needs the master key.")
