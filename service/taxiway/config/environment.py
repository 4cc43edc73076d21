"""Variables of the environment: Taxiway's own, LiteLLM's, and secrets that are mounted as files.

This package is given the environment; nothing here reads the process's own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from taxiway.config.addresses import api_base, database_url
from taxiway.config.knobs import KNOBS
from taxiway.config.notes import Notes
from taxiway.config.reading import Reading
from taxiway.config.showing import named
from taxiway.config.values import choice, positive, secret, version
from taxiway.config.words import Verdict, Vocabulary, Word, idle, sets
from taxiway.vendors import RUNWAYML, VENDORS, Vendor

OWN = "TAXIWAY_"

#: Each may be given as a file by `NAME_FILE`, the form in which an orchestrator mounts a secret.
SECRETS = (
    "TAXIWAY_MASTER_KEY",
    "TAXIWAY_DATABASE_URL",
    "LITELLM_MASTER_KEY",
    "DATABASE_URL",
    *(name for vendor in VENDORS.values() for name in vendor.key_variables),
)

#: Larger than any secret: a wrong path must not be read whole.
SECRET_BYTES_MAX = 16 * 1024


def _account_words(vendor: Vendor, *, prefix: str = "") -> dict[str, Word]:
    """Return the words of a vendor's variables; a prefix tells its settings from those of others."""
    words = {
        "api_key": sets(f"{prefix}api_key", secret, private=True),
        "api_base": sets(f"{prefix}api_base", api_base(vendor), private=True),
        "api_version": sets(f"{prefix}api_version", version),
    }
    return {name: words[setting] for name, setting in vendor.variables.items()}


#: LiteLLM's variables. Of two for one setting the upper counts.
VARIABLES = Vocabulary(
    "the environment",
    {
        **_account_words(RUNWAYML, prefix=f"{RUNWAYML.name}."),
        "RUNWAYML_POLLING_TIMEOUT": sets("job_timeout_s", positive("seconds")),
        "LITELLM_MASTER_KEY": sets("master_key", secret, private=True),
        "DATABASE_URL": sets("database_url", database_url, private=True),
        "LITELLM_LOG": sets("log_level", choice("debug", "info", "warning", "error")),
        **idle(
            "one process serves on one event loop; replicas add capacity",
            "NUM_WORKERS PROMETHEUS_MULTIPROC_DIR",
        ),
        **idle("logs have a structure in any case", "JSON_LOGS"),
        **idle(
            "`shutdown_budget_s` of taxiway_settings says how long a stop may take",
            "GRACEFUL_SHUTDOWN_TIMEOUT",
        ),
    },
)

#: Options whose name is not their setting's.
_OPTIONS = {"database_url": "database"}

#: What Kubernetes sets in a pod for each Service whose name begins with `taxiway`.
_SERVICE_LINK = re.compile(
    r"TAXIWAY_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """What the environment says, by field."""

    own: Mapping[str, Any]
    """By Taxiway's variables, which outdo a file."""
    litellm: Mapping[str, Any]
    """By LiteLLM's, which a file outdoes."""


def exported(environ: Mapping[str, str], raw: object, *, notes: Notes) -> dict[str, str]:
    """Return the environment with the `environment_variables` of a file, which replace what is there."""
    reading = Reading(environ=environ, notes=notes)
    place = "environment_variables"
    merged = dict(environ)
    for name, value in reading.mapping(raw, place=place, what="variables").items():
        where = f"{place}.{named(name)}"
        if name.startswith(OWN):
            notes.refuse(f"{where} belongs in taxiway_settings, or in the environment itself.")
            continue
        text = reading.value(value, _scalar, place=where, private=True)
        if text is not None and environ.get(name, text) != text:
            notes.warn(where, "replaces the value that the environment gives this variable.")
        if text is not None:
            merged[name] = text
    return merged


def with_secret_files(environ: Mapping[str, str], *, notes: Notes) -> dict[str, str]:
    """Return the environment with each secret read from the file that `NAME_FILE` names."""
    merged = dict(environ)
    for name in SECRETS:
        path = environ.get(f"{name}_FILE", "").strip()
        if not path:
            continue
        if environ.get(name, "").strip():
            notes.refuse(f"{name} and {name}_FILE are both set; keep one.")
            continue
        try:
            merged[name] = _secret_in(Path(path))
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            notes.refuse(f"The file that {name}_FILE names cannot be used: {why}.")
    return merged


def secret_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the files that hold secrets."""
    named = (environ.get(f"{name}_FILE", "").strip() for name in SECRETS)
    return tuple(Path(path) for path in named if path)


def read_variables(reading: Reading) -> Variables:
    """Return what the environment says, and note what it says in vain. Empty variables count as unset."""
    given = {name: text for name, text in reading.environ.items() if text.strip()}
    return Variables(own=_own(given, reading), litellm=_litellm(given, reading))


def read_overrides(overrides: Mapping[str, object], reading: Reading) -> dict[str, Any]:
    """Return the settings of a command line, by field. None stands for an option that was not given."""
    fields: dict[str, Any] = {}
    for name, value in overrides.items():
        option = f"--{_OPTIONS.get(name, name).replace('_', '-')}"
        word = KNOBS.find(name)
        if word is None or word.field is None or word.read is None:
            reading.notes.refuse(f"{option} is not an option that sets anything.")
            continue
        found = reading.value(value, word.read, place=option, private=word.private)
        if found is not None:
            fields[word.field] = found
    return fields


def read_account(vendor: Vendor, reading: Reading) -> dict[str, Any]:
    """Return what the environment says of a vendor's account, by field.

    To be asked where the vendor is in use: other programs of this machine may have these variables for themselves.
    """
    words = Vocabulary("the environment", _account_words(vendor))
    given = {name: reading.environ.get(name, "") for name in vendor.variables}
    return reading.section({n: text for n, text in given.items() if text.strip()}, words, place="")


def _own(given: Mapping[str, str], reading: Reading) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, text in given.items():
        if not name.startswith(OWN) or _SERVICE_LINK.fullmatch(name) or _names_file(name):
            continue
        word = KNOBS.find(name.removeprefix(OWN).lower())
        if word is None or name != name.upper():
            reading.notes.warn(named(name), f"is not a variable of Taxiway{_hint(name)}")
        elif "://" in text and name.endswith("PORT"):
            reading.notes.refuse(
                f"{name} holds the address of a Kubernetes Service instead of a port;"
                " set enableServiceLinks: false in the pod, or rename the Service."
            )
        elif word.verdict is Verdict.LATER:
            reading.notes.warn(name, f"has no effect in this release: {word.why}.")
        elif word.field is not None and word.read is not None:
            values[word.field] = reading.value(text, word.read, place=name, private=word.private)
    return {field: value for field, value in values.items() if value is not None}


def _litellm(given: Mapping[str, str], reading: Reading) -> dict[str, Any]:
    known = {name: given[name] for name, _ in VARIABLES if name in given}
    return reading.section(known, VARIABLES, place="")


def _hint(name: str) -> str:
    near = KNOBS.nearest(name.removeprefix(OWN).lower())
    return f"; did you mean {OWN}{near.upper()}?" if near else "."


def _names_file(name: str) -> bool:
    return name.removesuffix("_FILE") in SECRETS and name.endswith("_FILE")


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and isfinite(value):
        return f"{value:.15g}"
    raise ValueError("text, a number, or true or false")


def _secret_in(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(SECRET_BYTES_MAX + 1)
    if len(content) > SECRET_BYTES_MAX:
        raise ValueError("it is larger than any secret")
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ValueError("it is not text in UTF-8") from None
    if not text:
        raise ValueError("it is empty")
    return text
