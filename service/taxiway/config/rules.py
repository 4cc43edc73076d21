"""What settings must be together, once each of them is right by itself."""

from taxiway.config.addresses import is_loopback
from taxiway.config.models import near
from taxiway.config.notes import Notes
from taxiway.config.showing import named
from taxiway.settings import Secret, Settings

#: Master keys of tutorials. Whoever finds the service tries them first.
WELL_KNOWN_KEYS = frozenset({Secret("sk-1234")})

MASTER_KEY = "general_settings.master_key or TAXIWAY_MASTER_KEY"


def check(settings: Settings, notes: Notes) -> None:
    """Note what cannot go together."""
    local = is_loopback(settings.host)
    if settings.master_key is None and not local:
        notes.refuse(
            f"Without a master key only this machine is served: set {MASTER_KEY}, or leave host at 127.0.0.1"
            f" instead of {settings.host}."
        )
    if settings.master_key in WELL_KNOWN_KEYS and not local:
        notes.refuse(
            f"The master key is one that tutorials use, and anybody would guess it: choose another in"
            f" {MASTER_KEY} before serving {settings.host}."
        )
    if settings.master_key in WELL_KNOWN_KEYS and local:
        notes.warn(
            "master_key", "is one that tutorials use; only this machine may be served with it."
        )
    if settings.metrics_port is not None and settings.metrics_port == settings.port != 0:
        notes.refuse(f"metrics_port and port are both {settings.port}; they must differ.")
    if settings.artifacts_url is None and settings.database_url.startswith("postgres"):
        notes.warn(
            "artifacts_url",
            "is not set: images stay with Runway, whose links expire after a day or two.",
        )
    if settings.webhook_url is not None and not settings.webhook_secrets:
        notes.refuse("webhook_url needs webhook_secrets: nothing is told that is not signed.")
    if (settings.webhook_url or "").startswith("http:") and not settings.webhook_networks:
        notes.refuse(
            "webhook_url must begin with https://; plain HTTP is for the networks in webhook_networks."
        )
    served = dict.fromkeys(each.provider for each in settings.deployments)
    for provider in settings.provider_budgets.keys() - served.keys():
        notes.warn(
            f"router_settings.provider_budget_config.{named(provider)}",
            f"has no effect: no deployment is of that provider{near(provider, served)}",
        )
    if settings.log_prompts:
        notes.warn("log_prompts", "is on: the log keeps what people ask for.")
