"""OpenAI's official client for Node, which must not notice that it speaks to somebody else either.

It is installed into a folder of the tests. Where there is no Node, or no npm that can, the chapter is skipped.
"""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.settings import Settings

pytestmark = pytest.mark.looptime(False)

#: A program has `client` and `say`; what it says last is its outcome.
PREAMBLE = """
import fs from "node:fs";
import OpenAI, { toFile } from "openai";
const client = new OpenAI({ baseURL: process.argv[2] + "/v1", apiKey: "any" });
const model = "runwayml/gen4_image", prompt = "a red fox in the snow";
const say = (value) => console.log(JSON.stringify(value));
"""


@pytest.fixture
def sandbox_settings() -> SandboxSettings:
    """A Runway that needs half a second."""
    return SandboxSettings(duration_s=0.4, queue_s=0.1, pictures="plain")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The settings, with a look every fifth of a second."""
    return replace(settings, poll_interval_s=0.2)


async def run(node_folder: Path, url: str, program: str) -> Any:
    """Run a program with the client against the service, and return what it says."""
    path = node_folder / "program.mjs"
    path.write_text(PREAMBLE + program)
    process = await asyncio.create_subprocess_exec(
        *("node", str(path), url),
        cwd=node_folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out)


async def test_an_image_is_generated_as_base64(node_folder: Path, url: str) -> None:
    """`images.generate` with `response_format: "b64_json"` resolves to the bytes of a PNG."""
    said = await run(
        node_folder,
        url,
        """
        const result = await client.images.generate(
          { model, prompt, size: "1024x1024", response_format: "b64_json" });
        say([result.data[0].b64_json.slice(0, 4), result.size, result.cost_credits]);
        """,
    )

    assert said == ["iVBO", "1024x1024", 8]


async def test_images_are_edited(node_folder: Path, url: str, sandbox: Sandbox) -> None:
    """`images.edit` with two files resolves to an image, and Runway was sent both."""
    said = await run(
        node_folder,
        url,
        """
        const made = await client.images.generate({ model, prompt, response_format: "b64_json" });
        fs.writeFileSync("fox.png", Buffer.from(made.data[0].b64_json, "base64"));
        const image = [fs.createReadStream("fox.png"), await toFile(fs.readFileSync("fox.png"), "b.png")];
        const result = await client.images.edit({ model, prompt, image, n: 2 });
        say(result.data.map((each) => typeof each.url));
        """,
    )

    sent = [r.body.get("referenceImages", []) for r in sandbox.requests if r.method == "POST"]
    assert said == ["string", "string"]
    assert [len(references) for references in sent] == [0, 2, 2]


async def test_a_stream_of_an_edit_ends_with_the_image(node_folder: Path, url: str) -> None:
    """`images.edit` with `stream: true` yields progress, and then the image."""
    said = await run(
        node_folder,
        url,
        """
        const made = await client.images.generate({ model, prompt, response_format: "b64_json" });
        const image = await toFile(Buffer.from(made.data[0].b64_json, "base64"), "fox.png");
        const types = new Set();
        let last;
        for await (const event of await client.images.edit({ model, prompt, image, stream: true })) {
          types.add(event.type);
          last = event;
        }
        say([[...types], last.b64_json.slice(0, 4)]);
        """,
    )

    assert said == [["image_edit.progress", "image_edit.completed"], "iVBO"]


async def test_a_refusal_is_the_error_of_its_status(
    node_folder: Path, url: str, sandbox: Sandbox
) -> None:
    """A prompt that moderation refuses rejects with `BadRequestError`, after one attempt."""
    sandbox.will("fail:SAFETY.INPUT.TEXT")
    said = await run(
        node_folder,
        url,
        """
        try {
          await client.images.generate({ model, prompt });
        } catch (error) {
          say([error.constructor.name, error.status, error.code]);
        }
        """,
    )

    assert said == ["BadRequestError", 400, "content_policy_violation"]
    assert len(sandbox.tasks) == 1


async def test_a_short_timeout_buys_one_image(
    node_folder: Path, url: str, sandbox: Sandbox
) -> None:
    """The client's patience is shorter than the job: its own repeats join the job, and get the image."""
    sandbox.will("slow:2.5")
    outcome = await run(
        node_folder,
        url,
        """
        const images = await client.images.generate({ model, prompt }, { timeout: 1500 });
        say(images.data.length);
        """,
    )

    assert outcome == 1
    assert 1 == len(sandbox.tasks)


async def test_a_lost_answer_of_runway_buys_one_task(
    node_folder: Path, url: str, sandbox: Sandbox
) -> None:
    """What nobody can know is told to the client once, and it does not repeat it."""
    outcome = await run(
        node_folder,
        url,
        """
        try { await client.images.generate({ model, prompt: prompt + " [[create:cut]]" }); }
        catch (error) { say([error.status, error.code]); }
        """,
    )

    assert outcome == [502, "submission_unknown"]
    assert 1 == len(sandbox.tasks)
