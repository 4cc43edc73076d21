"""What is printed at the end: the images and their cost, or why there are none."""

from collections.abc import Sequence

import orjson
from rich.console import Console
from rich.text import Text

from taxiway.cli.consoles import out, speaks_unicode
from taxiway.cli.documents import JobDocument, is_final
from taxiway.cli.files import Saved
from taxiway.cli.pictures import show_pictures
from taxiway.cli.wording import COLOURS, money, pixels, plural, spell, weight
from taxiway.errors import TaxiwayError


def print_json(document: object) -> None:
    """Print a document on one line."""
    out().file.write(orjson.dumps(document).decode() + "\n")
    out().file.flush()


def raise_failure(job: JobDocument) -> None:
    """Raise why a job did not complete, if it did not."""
    if job["status"] == "completed":
        return
    failure = job["error"]
    sentence = failure["message"] if failure else f"The job is {job['status']}."
    raise TaxiwayError(f"{sentence.rstrip('.')}; {job['id']} cost {money(job['cost'])}.")


def print_saved(job: JobDocument, saved: Sequence[Saved]) -> None:
    """Print what a finished job brought into files."""
    console = out()
    show_pictures(console, saved)
    _headline(console, job)
    for each in saved:
        size = pixels(each.picture["size"])
        line = Text(f"  {each.path}", style="bold")
        line.append(f"  {size}, {weight(each.size_bytes)}", style="not bold dim")
        console.print(line, soft_wrap=True)
    console.print(f"  {job['id']}", style="dim", soft_wrap=True)


def print_job(job: JobDocument) -> None:
    """Print a finished job that was only watched: its images' addresses and its cost."""
    console = out()
    _headline(console, job)
    for picture in job["images"]:
        line = Text(f"  {picture['url']}", style="bold")
        line.append(f"  {pixels(picture['size'])}", style="not bold dim")
        console.print(line, soft_wrap=True)
    console.print(f"  {job['id']}", style="dim", soft_wrap=True)


def _headline(console: Console, job: JobDocument) -> None:
    seconds = (job["finished_at"] or job["created_at"]) - job["created_at"]
    tick = "✓ " if speaks_unicode(console) else ""
    images = plural(len(job["images"]), "image")
    if len(job["images"]) < job["n"]:
        images = f"{len(job['images'])} of {plural(job['n'], 'image')}"
    line = Text(f"{tick}{images}", style=f"bold {COLOURS[job['status']]}")
    line.append(f" in {spell(seconds)} for {money(job['cost'])}", style="default not bold")
    console.print(line, soft_wrap=True)


def print_cancelled(job: JobDocument, *, late: bool) -> None:
    """Print how a cancellation ended. `late`: the job was final before anybody asked."""
    console = out()
    colour = COLOURS[job["status"]]
    if late:
        sentence = f" had ended before: it is {job['status']}, cost {money(job['cost'])}."
    elif is_final(job):
        sentence = f" is {job['status']}, cost {money(job['cost'])}."
    else:
        sentence = " is being stopped; Runway has not confirmed it yet."
    line = Text(job["id"], style=f"bold {colour}").append(sentence, style="default not bold")
    console.print(line, soft_wrap=True)
