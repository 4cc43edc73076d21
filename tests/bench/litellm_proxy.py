"""LiteLLM's proxy, pointed at the sandbox: run by the interpreter of its own environment.

It sends the submission to `api_base` and polls at a public address that stands in its source. Only that address is
replaced; without it nothing could be measured, and a key would leave the machine.
"""

import os

from litellm.llms.runwayml.image_generation import transformation  # type: ignore[import-not-found]
from litellm.proxy.proxy_cli import run_server  # type: ignore[import-not-found]

if __name__ == "__main__":
    transformation.RunwayMLImageGenerationConfig.DEFAULT_BASE_URL = os.environ["RUNWAYML_API_BASE"]
    run_server()
