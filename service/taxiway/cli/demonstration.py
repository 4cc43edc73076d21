"""The play that `taxiway demo` puts on its stage: one image, asked for over HTTP and watched over SSE."""

import asyncio
import os
from pathlib import Path

from rich.console import Console

from taxiway.cli.client import Client
from taxiway.cli.consoles import out, speaks_unicode
from taxiway.cli.documents import JobDocument, tasks_bought
from taxiway.cli.files import Saved, save
from taxiway.cli.loops import until_told
from taxiway.cli.paragraphs import print_facts, print_paragraph, print_title
from taxiway.cli.pictures import show_pictures
from taxiway.cli.results import raise_failure
from taxiway.cli.stage import Stage, stage
from taxiway.cli.viewing import view
from taxiway.cli.wording import money, pixels, plural, spell, weight

REQUEST = {
    "model": "gen4_image",
    "prompt": "A serene mountain landscape at sunset",
    "size": "1920x1080",
}


async def demonstrate(*, keep: bool, duration_s: float) -> None:
    """Make one image and show how. Raises `TaxiwayError`."""
    console = out()
    async with stage(duration_s=duration_s) as scene:
        _open(console, scene)
        async with Client(scene.service_url) as client:
            job = await client.ask(REQUEST)
            job = await view(client, job["id"], first=job, console=console)
            raise_failure(job)
            _rejoice(console, job)
            saved = await save(client, job, folder=_folder(scene), prefix="taxiway-demo")
        show_pictures(console, saved)
        _sum_up(console, scene, job, saved)
        if keep:
            _invite(console, scene)
            await until_told(asyncio.Event().wait())


def _folder(scene: Stage) -> Path:
    """Return where the image goes: here, or beside the log where nothing can be written here."""
    here = Path()
    return here if os.access(here, os.W_OK | os.X_OK) else scene.folder


def _open(console: Console, scene: Stage) -> None:
    facts = {
        "service": scene.service_url,
        "runway": f"{scene.sandbox_url}, a sandbox: no key, no cost",
        "prompt": REQUEST["prompt"],
        "asks for": f"{REQUEST['size']} from {REQUEST['model']}",
    }
    print_paragraph(
        console, "Taxiway demo", remark=" one image, from the prompt to the file", facts=facts
    )


def _rejoice(console: Console, job: JobDocument) -> None:
    seconds = (job["finished_at"] or job["created_at"]) - job["created_at"]
    tick = "✓ " if speaks_unicode(console) else ""
    print_title(console, f"{tick}Done in {spell(seconds)}", style="bold green")


def _sum_up(console: Console, scene: Stage, job: JobDocument, saved: list[Saved]) -> None:
    facts = {
        "image": ", ".join(_described(each) for each in saved),
        "cost": money(job["cost"]),
        "bought": plural(tasks_bought(job), "Runway task"),
        "job": job["id"],
        "log": str(scene.log),
    }
    print_facts(console, facts)


def _invite(console: Console, scene: Stage) -> None:
    facts = {
        "console": f"{scene.service_url}/ in a browser",
        "ask": f'taxiway generate "a red fox in the snow" --url {scene.service_url}',
        "look": f"curl {scene.service_url}/v1/jobs",
    }
    print_paragraph(console, "Still up", remark="until Ctrl-C", facts=facts)


def _described(saved: Saved) -> str:
    return f"{saved.path}, {pixels(saved.picture['size'])}, {weight(saved.size_bytes)}"
