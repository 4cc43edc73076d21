"""OpenAI's SDK for Python with Taxiway: an image, one that is watched, and one made from another."""

import base64
import os
from pathlib import Path

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("TAXIWAY_URL", "http://127.0.0.1:4000") + "/v1",
    api_key=os.environ.get("TAXIWAY_KEY", "any"),
)

# The bytes of an image. Without `response_format` it is an address, `image.data[0].url`.
image = client.images.generate(
    model="gen4_image",
    prompt="A red fox in the snow",
    size="1920x1080",
    response_format="b64_json",
)
Path("fox.png").write_bytes(base64.b64decode(image.data[0].b64_json))
print("fox.png", image.size, image.cost_microusd)

# Progress, and then the image. `image_generation.progress` is Taxiway's own event, so look at `type`.
for event in client.images.generate(model="gen4_image", prompt="A red fox", stream=True):
    if event.type == "image_generation.progress":
        print(event.phase, event.progress)
    elif event.type == "image_generation.completed":
        Path("second.png").write_bytes(base64.b64decode(event.b64_json))
        print("second.png")

# An image made from another one.
with Path("fox.png").open("rb") as fox:
    rain = client.images.edit(model="gen4_image", image=fox, prompt="The same fox in the rain")
print(rain.data[0].url)
