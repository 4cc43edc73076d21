"""`taxiway generate`: asks a running service for images, shows the way, saves them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from taxiway.cli.options import DEFAULT_URL, Json, Key, Url


def generate(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What the image shows.")],
    model: Annotated[
        str, typer.Option(metavar="NAME", envvar="TAXIWAY_MODEL", help="A model of the service.")
    ] = "gen4_image",
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="In pixels; the model's own without it.")
    ] = None,
    n: Annotated[int, typer.Option("--n", "-n", metavar="N", min=1, help="How many images.")] = 1,
    quality: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where the model has qualities.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="The same seed, the same image.")
    ] = None,
    references: Annotated[
        list[str] | None,
        typer.Option(
            "--reference",
            metavar="[TAG=]IMAGE",
            help="A file or URL to go by, called @TAG in the prompt; may be repeated.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the files go.", show_default="here")
    ] = Path(),
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Ask a running service for an image and save it."""
    import asyncio

    from taxiway.cli.endings import leave
    from taxiway.cli.references import reference

    fields = {
        "model": model,
        "prompt": prompt,
        "n": n,
        "size": size,
        "quality": quality,
        "seed": seed,
        "reference_images": [reference(each) for each in references or ()] or None,
    }
    order = Order(
        request={name: value for name, value in fields.items() if value is not None},
        url=url,
        key=key,
        out=out,
        json=json,
    )
    try:
        asyncio.run(_carry_out(order))
    except KeyboardInterrupt:
        leave(order.job_id, url=url)


@dataclass(slots=True, kw_only=True)
class Order:
    """One request on its way. `job_id` is known once the service has taken it."""

    request: dict[str, object]
    url: str
    key: str | None
    out: Path
    json: bool
    job_id: str | None = field(default=None)


async def _carry_out(order: Order) -> None:
    from taxiway.cli.client import Client
    from taxiway.cli.files import ready, save
    from taxiway.cli.results import print_json, print_saved, raise_failure
    from taxiway.cli.viewing import view

    folder = ready(order.out)
    async with Client(order.url, key=order.key) as client:
        job = await client.ask(order.request)
        order.job_id = job["id"]
        job = await view(client, job["id"], first=job)
        saved = await save(client, job, folder=folder)
    if order.json:
        print_json({**job, "files": [str(each.path) for each in saved]})
    raise_failure(job)
    if not order.json:
        print_saved(job, saved)
