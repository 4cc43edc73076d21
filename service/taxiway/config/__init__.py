"""LiteLLM's `config.yaml` and the variables of the environment become one `Settings`, or a clear refusal.

Of two sources for one setting the upper counts: the command line; `TAXIWAY_…` variables; `taxiway_settings`;
LiteLLM's sections; LiteLLM's variables; the default. Every source is checked, the outdone ones included.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from taxiway.config import environment, litellm, params, rules
from taxiway.config.aliases import read_aliases
from taxiway.config.credentials import Credentials
from taxiway.config.defaults import Defaults
from taxiway.config.deployments import Offer, deployments, read_model_list, whole_catalogue
from taxiway.config.description import Description, Row, describe
from taxiway.config.files import Document, read_document
from taxiway.config.knobs import KNOBS
from taxiway.config.loaded import Loaded
from taxiway.config.notes import Finding, Notes
from taxiway.config.reading import Reading
from taxiway.config.routing import FIELDS, Names, read_strategy
from taxiway.errors import ConfigError
from taxiway.settings import Routing, Settings
from taxiway.vendors import RUNWAYML

__all__ = ["Description", "Finding", "Loaded", "Row", "describe", "load_settings"]

#: Settings of calls: for every deployment that does not say otherwise.
_OF_DEPLOYMENTS = ("drop_params", "verify_tls", "stream_timeout_s")

#: Where a key may be at home that is unknown where it stands.
_HOMES = (
    litellm.ROUTER,
    litellm.LITELLM,
    litellm.GENERAL,
    KNOBS,
    params.litellm_params(RUNWAYML, ()),
    params.INFO,
)

_NO_OVERRIDES: Mapping[str, object] = MappingProxyType({})


def load_settings(
    *,
    path: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] = _NO_OVERRIDES,
) -> Loaded:
    """Return the settings of a service, with all that its owner should know about them.

    `path` is a configuration file, None for none. `overrides` are options of a command line, by the names of
    `taxiway_settings`. Raises `ConfigError`, whose `problems` hold a sentence for each thing that is wrong.
    """
    notes = Notes()
    found = read_document(path) if path is not None else Document(sections={})
    document = found.sections
    known = environment.with_secret_files(environ, notes=notes)
    known = environment.exported(known, document.get("environment_variables"), notes=notes)
    reading = Reading(environ=known, notes=notes, homes=_HOMES)
    values = _values(document, overrides, reading)
    defaults = _defaults(values)
    routed = {name: values.pop(name) for name in FIELDS & values.keys()}
    offer = _offer(document, reading, defaults)
    router = _section(document, litellm.ROUTER.section, reading)
    aliases, hidden = read_aliases(router.get("model_group_alias"), offer, reading)
    routed |= read_strategy(router, reading)
    sections = {
        words.section: _section(document, words.section, reading)
        for words in (litellm.ROUTER, litellm.LITELLM)
    }
    routed = Names(offer, aliases, reading).routing(routed, sections)
    fleet = deployments(offer, reading)
    _stop_at(notes)
    settings = Settings(
        **values,
        deployments=fleet,
        aliases=aliases,
        hidden_aliases=hidden,
        routing=Routing(**routed),
    )
    rules.check(settings, notes)
    _stop_at(notes)
    files = (*found.files, *environment.secret_files(environ))
    return Loaded(settings=settings, findings=notes.findings, files=files)


def _values(
    document: Mapping[str, object], overrides: Mapping[str, object], reading: Reading
) -> dict[str, Any]:
    """Return every setting that some source gives, by field."""
    reading.section(document, litellm.TOP, place="")
    variables = environment.read_variables(reading)
    sections = (
        reading.section(_section(document, words.section, reading), words, place=words.section)
        for words in (litellm.LITELLM, litellm.ROUTER, litellm.GENERAL, KNOBS)
    )
    values: dict[str, Any] = {}
    for source in (
        variables.litellm,
        *sections,
        variables.own,
        environment.read_overrides(overrides, reading),
    ):
        values |= source
    return values


def _defaults(values: dict[str, Any]) -> Defaults:
    """Take out of the values what is meant for deployments: for all of them, or for those of one vendor."""
    common = {name: values.pop(name) for name in _OF_DEPLOYMENTS if name in values}
    prefix = f"{RUNWAYML.name}."
    ours = {
        name.removeprefix(prefix): values.pop(name)
        for name in list(values)
        if name.startswith(prefix)
    }
    return Defaults(common=common, accounts={RUNWAYML.name: ours})


def _offer(document: Mapping[str, object], reading: Reading, defaults: Defaults) -> Offer:
    credentials = Credentials(document.get("credential_list"), reading)
    if document.get("model_list") is not None:
        return read_model_list(
            document["model_list"], reading, defaults=defaults, credentials=credentials
        )
    ours = defaults.of(RUNWAYML, reading)
    if "api_key" not in ours and not reading.notes.problems:
        reading.notes.refuse(
            "There is no API key for Runway: set RUNWAYML_API_SECRET, or run `taxiway demo`, which needs none."
        )
    return whole_catalogue(ours)


def _section(document: Mapping[str, object], name: str, reading: Reading) -> dict[str, object]:
    return reading.mapping(document.get(name), place=name, what="settings")


def _stop_at(notes: Notes) -> None:
    if notes.problems:
        raise ConfigError(problems=notes.problems)
