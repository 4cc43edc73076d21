"""`credential_list`: accounts that entries share by name. Only those in use are read."""

from collections.abc import Mapping
from typing import Any

from taxiway.config import params
from taxiway.config.models import near
from taxiway.config.reading import Reading
from taxiway.config.showing import shown
from taxiway.vendors import Vendor


class Credentials:
    """The credentials of a file by name, each read once, at the first entry that asks for it."""

    __slots__ = ("_found", "_raw", "_reading")

    def __init__(self, raw: object, reading: Reading) -> None:
        self._reading = reading
        self._raw: dict[str, tuple[str, Mapping[str, object]]] = {}
        self._found: dict[tuple[str, str], dict[str, Any]] = {}
        listed = reading.items(raw, place="credential_list", what="credentials")
        for index, each in enumerate(listed):
            self._note(each, place=f"credential_list[{index}]")

    def find(self, name: str, vendor: Vendor, *, place: str) -> dict[str, Any]:
        """Return the settings of the credential that an entry names, by field; none where it is refused."""
        if name not in self._raw:
            self._reading.notes.refuse(
                f"{place}.litellm_credential_name is {shown(name)}, which credential_list does not have"
                f"{near(name, self._raw)}"
            )
            return {}
        key = name, vendor.name
        if key not in self._found:
            where, credential = self._raw[name]
            self._found[key] = self._read(credential, vendor, where)
        return self._found[key]

    def _note(self, raw: object, *, place: str) -> None:
        credential = self._reading.mapping(raw, place=place, what="credential_name and values")
        name = credential.get("credential_name")
        if not isinstance(name, str):
            self._reading.notes.refuse(f"{place}.credential_name must be a name, in text.")
        elif name in self._raw:
            self._reading.notes.refuse(f"{place}.credential_name is that of {self._raw[name][0]}.")
        else:
            self._raw[name] = (place, credential)

    def _read(self, credential: Mapping[str, object], vendor: Vendor, place: str) -> dict[str, Any]:
        self._reading.section(credential, params.CREDENTIAL, place=place)
        where = f"{place}.credential_values"
        values = self._reading.mapping(
            credential.get("credential_values"), place=where, what="settings"
        )
        return self._reading.section(values, params.credential_values(vendor), place=where)
