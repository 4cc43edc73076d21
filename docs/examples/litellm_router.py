"""LiteLLM's router with `litellm.yaml`, as its proxy has it: an image that Taxiway makes."""

from pathlib import Path

import yaml
from litellm import Router

config = yaml.safe_load(Path("litellm.yaml").read_text())
router = Router(model_list=config["model_list"], **config["router_settings"])

image = router.image_generation(model="image", prompt="A red fox in the snow", size="1920x1080")
print(image.data[0].url)
