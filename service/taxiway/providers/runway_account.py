"""What a Runway account has left: credits, slots, the day's quota. Reading it is free, and buys nothing.

Several deployments often share one key, and so one account: it is read once for all of them.
"""

import asyncio
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import aiohttp
import orjson

from taxiway.errors import ProviderUnavailableError
from taxiway.protocols import Instruments, Note
from taxiway.settings import Deployment

ACCOUNT_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLimits:
    """What an account may do with one model. None: there is no limit, or the vendor does not say."""

    slots: int | None
    """Tasks that may run at once."""
    daily_remaining: int | None
    """Tasks that may still be created within these 24 hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account as it was just read. `limits` are by the vendor's names of its models."""

    credits: int | None
    limits: Mapping[str, ModelLimits]


class RunwayAccount:
    """The account behind some deployments. `name` is `runwayml-1` and so on, in the order of the configuration."""

    def __init__(
        self,
        name: str,
        deployments: Sequence[Deployment],
        *,
        session: aiohttp.ClientSession,
        instruments: Instruments,
        note: Note,
    ) -> None:
        self.name = name
        self.models = tuple((each.model_name, each.model) for each in deployments)
        """Public name and vendor's name of each model that is bought on this account."""
        self.deployments = frozenset(each.id for each in deployments)
        """The ids of the deployments that buy on this account."""
        self._deployment = deployments[0]
        self._session = session
        self._instruments = instruments
        self._note = note
        self._refused = False

    async def account(self) -> Account:
        """Read the account once. Raises `ProviderUnavailableError` when the vendor does not show it."""
        return _account(await self._asked("GET", "/v1/organization"))

    async def made(self) -> Mapping[str, int]:
        """Read how many tasks of each model were created in the last 24 hours. Raises as `account`."""
        used = _models((await self._asked("GET", "/v1/organization")).get("usage"))
        return {model: _whole(each.get("dailyGenerations")) or 0 for model, each in used.items()}

    async def spent(self, *, first: date, before: date) -> Mapping[tuple[str, str], int]:
        """Read the net credits of each day (`YYYY-MM-DD`, UTC) and model, from `first` up to and without `before`.

        At most 90 days; a refund counts on its own day, so a figure may be negative. Raises as `account`.
        """
        wanted = {"startDate": first.isoformat(), "beforeDate": before.isoformat()}
        body = await self._asked("POST", "/v1/organization/usage", wanted)
        return dict(_spent(body.get("results")))

    async def _asked(self, method: str, path: str, wanted: object = None) -> dict[str, Any]:
        try:
            status, body = await self._read(method, path, wanted)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(self._deployment.api_base, error) from error
        self._note_refusal(status)
        if status in (401, 403):
            raise ProviderUnavailableError(
                f"Runway at {self._deployment.api_base} refuses the key of {self._deployment.id} ({status}): "
                "check `api_key`, or the variable it comes from."
            )
        if status != 200 or not isinstance(body, dict):
            raise ProviderUnavailableError(f"Runway answered {status} without an account.")
        return body

    async def _read(self, method: str, path: str, wanted: object) -> tuple[int, Any]:
        loop, deployment = asyncio.get_running_loop(), self._deployment
        started_s, code = loop.time(), "error"
        headers = {
            "User-Agent": "taxiway",
            **deployment.headers,
            "X-Runway-Version": deployment.api_version,
        }
        if deployment.api_key is not None:
            headers["Authorization"] = f"Bearer {deployment.api_key.reveal()}"
        try:
            async with self._session.request(
                method,
                deployment.api_base + path,
                json=wanted,
                headers=headers,
                ssl=deployment.verify_tls,
                allow_redirects=False,  # a redirect would carry the key to another host
                timeout=aiohttp.ClientTimeout(total=ACCOUNT_TIMEOUT_S),
            ) as response:
                raw = await response.read()
                code = str(response.status)
                return response.status, _json(raw)
        finally:
            self._instruments.upstream("account", code, loop.time() - started_s)

    def _note_refusal(self, status: int) -> None:
        """Say once that the key is refused, and again only after it was accepted."""
        refused = status in (401, 403)
        if refused and not self._refused:
            self._note("upstream.auth_refused", deployment=self._deployment.id, code=status)
        if refused or status == 200:
            self._refused = refused


def open_accounts(
    deployments: Iterable[Deployment],
    *,
    session: aiohttp.ClientSession,
    instruments: Instruments,
    note: Note,
) -> tuple[RunwayAccount, ...]:
    """Return the accounts behind Runway's deployments: one for each key at each address.

    A deployment without a key has no account.
    """
    groups: dict[object, list[Deployment]] = {}
    for each in deployments:
        if each.provider == "runwayml" and each.api_key is not None:
            identity = (each.api_base, each.api_key, tuple(sorted(each.headers.items())))
            groups.setdefault(identity, []).append(each)
    return tuple(
        RunwayAccount(
            f"runwayml-{number}", group, session=session, instruments=instruments, note=note
        )
        for number, group in enumerate(groups.values(), start=1)
    )


def _unreachable(base: str, error: Exception) -> ProviderUnavailableError:
    """Return the sentence for an account that was not read, for somebody who knows the configuration."""
    if isinstance(error, aiohttp.ClientSSLError):
        sentence = "shows no certificate that is trusted here: check `api_base` and `ssl_verify`."
    elif isinstance(error, aiohttp.ClientConnectorError):
        sentence = "cannot be reached: check `api_base` and the network, and try again."
    elif isinstance(error, TimeoutError):
        sentence = f"did not answer within {ACCOUNT_TIMEOUT_S:.0f} s: try again later."
    else:
        sentence = "broke off before it had answered: try again later."
    return ProviderUnavailableError(f"Runway at {base} {sentence}")


def _account(body: Mapping[str, Any]) -> Account:
    used = _models(body.get("usage"))
    return Account(
        credits=_whole(body.get("creditBalance")),
        limits={
            model: ModelLimits(
                slots=_whole(limits.get("maxConcurrentGenerations")),
                daily_remaining=_remaining(
                    _whole(limits.get("maxDailyGenerations")),
                    _whole(used.get(model, {}).get("dailyGenerations")),
                ),
            )
            for model, limits in _models(body.get("tier")).items()
        },
    )


def _spent(results: object) -> Iterator[tuple[tuple[str, str], int]]:
    for day in results if isinstance(results, list) else ():
        used = day.get("usedCredits") if isinstance(day, dict) else None
        for each in used if isinstance(used, list) else ():
            amount = each.get("amount") if isinstance(each, dict) else None
            if isinstance(amount, int | float) and math.isfinite(amount):
                yield (str(day.get("date")), str(each.get("model"))), round(amount)


def _models(part: object) -> dict[str, dict[str, Any]]:
    """Return the models of a part of the answer; those in a form that nobody expects are left out."""
    models = part.get("models") if isinstance(part, dict) else None
    found = models.items() if isinstance(models, dict) else ()
    return {model: limits for model, limits in found if isinstance(limits, dict)}


def _remaining(limit: int | None, used: int | None) -> int | None:
    return None if limit is None else max(0, limit - (used or 0))


def _whole(number: object) -> int | None:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 1e15:
        return None
    return number


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
