"""What the chapters on configurations share: how a text is loaded, and how one is refused."""

from collections.abc import Callable

from taxiway.config import Loaded

#: A key for Runway, as the environment has it.
KEY = {"RUNWAYML_API_SECRET": "key_of_the_account"}

#: Loads the text of a configuration, within an environment that has a key for Runway.
Load = Callable[..., Loaded]

#: Gives the sentences with which a configuration is refused.
Problems = Callable[..., tuple[str, ...]]
