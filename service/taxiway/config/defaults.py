"""What a deployment is set to where its entry does not say it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taxiway.config.environment import read_account
from taxiway.config.reading import Reading
from taxiway.vendors import Vendor


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """Settings by field: those of every deployment, and the account of each vendor by its name."""

    common: Mapping[str, Any]
    accounts: dict[str, Mapping[str, Any]]
    """As far as they were asked for; one whose variables are wrong is refused once."""

    def of(self, vendor: Vendor, reading: Reading) -> dict[str, Any]:
        """Return what a vendor's deployments begin with. One vendor's key never meets another's address."""
        if vendor.name not in self.accounts:
            self.accounts[vendor.name] = read_account(vendor, reading)
        return {"api_base": vendor.api_base, **self.common, **self.accounts[vendor.name]}
