"""Whom to tell of a job's end, and what signs it."""

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

from taxiway.deliveries import Endpoint
from taxiway.errors import BadRequestError
from taxiway.events import Event
from taxiway.jobs import Job, Webhook
from taxiway.server.webhooks.guard import Guard
from taxiway.settings import Settings

#: The sources: named by the request itself, or by the settings.
REQUEST = "request"
SETTINGS = "settings"


class Source(Protocol):
    """Names endpoints for the jobs of a scope, and keeps the secrets that sign what they are told."""

    def endpoints(self, scope: str) -> Sequence[Endpoint]:
        """Return whom to tell of the jobs of an API key. Asks nobody: it is called while a job ends."""
        ...

    def secrets(self, source: str) -> Sequence[str]:
        """Return what signs for endpoints of a source, the present secrets only; none for a source of others."""
        ...


class Configured:
    """The endpoint of the settings, for the jobs of everybody. Its secrets sign for requests too."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.webhook_url
        self._secrets = tuple(secret.reveal() for secret in settings.webhook_secrets)

    def endpoints(self, scope: str) -> Sequence[Endpoint]:
        """Return the one there is, if any."""
        return () if self._url is None else (Endpoint(source=SETTINGS, url=self._url),)

    def secrets(self, source: str) -> Sequence[str]:
        """Return the secrets of the settings."""
        return self._secrets if source in (SETTINGS, REQUEST) else ()


class Webhooks:
    """Everybody who is told: whom the request names, and whom the sources do."""

    def __init__(self, *sources: Source, guard: Guard) -> None:
        self._sources = sources
        self._guard = guard
        self.wake: Callable[[], None] | None = None
        """Is called when somebody is to be told."""

    def observe(self, event: Event) -> None:
        """See to it that those are told at once whom a job's end was written with: an observer of the journal."""
        if event.job.final and self.wake is not None:
            self.wake()

    def endpoints_of(self, job: Job) -> Sequence[Endpoint]:
        """Return whom to tell of a job's end, each address once."""
        named = job.policy.webhook
        asked = (
            () if named is None else (Endpoint(source=REQUEST, url=named.url, secret=named.secret),)
        )
        found = [*asked, *(each for s in self._sources for each in s.endpoints(job.scope))]
        return [*{each.url: each for each in reversed(found)}.values()][::-1]

    def secrets_of(self, endpoint: Endpoint) -> Sequence[str]:
        """Return what signs for an endpoint; nothing where its source has lost its secrets."""
        if endpoint.secret is not None:
            return (endpoint.secret,)
        return [secret for each in self._sources for secret in each.secrets(endpoint.source)]

    def check(self, webhook: Webhook) -> None:
        """Raise `BadRequestError` for whom a request must not name. Where a name leads is seen later."""
        if not self.secrets_of(Endpoint(source=REQUEST, url=webhook.url, secret=webhook.secret)):
            raise BadRequestError(
                "`webhook.secret` is required here, since the service has no webhook_secrets: "
                "nothing is told that is not signed.",
                code="missing_required_parameter",
                param="webhook.secret",
            )
        parts = urlsplit(webhook.url)
        if parts.scheme == "http" and not self._guard.networks:
            raise BadRequestError("`webhook.url` must begin with https://.", param="webhook.url")
        try:
            ip_address(parts.hostname or "")
        except ValueError:
            return
        if not self._guard.admits(parts.hostname or "", public=parts.scheme == "https"):
            raise BadRequestError("`webhook.url` must be a public address.", param="webhook.url")
