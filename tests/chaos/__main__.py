"""Kill Taxiway hundreds of times, and count what was lost: `make chaos`.

    python -m tests.chaos [--row TEXT] [--keep FOLDER] [--every N] [--jobs N] [--kills N]

Prints the table, and why where a promise was broken; a whole run is written to `last_run.md`.
"""
# ruff: noqa: T201

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.account import Account
from tests.chaos.forge import Forge
from tests.chaos.rows import POSTGRESQL, Row, Size, rows, run
from tests.chaos.table import write
from tests.databases import Postgres

#: So many rows at once: most of the time they wait.
AT_ONCE = 3


async def run_all(chosen: Sequence[Row], folder: Path, size: Size) -> list[Account]:
    """Do every row, and return their accounts; says on stderr how each of them went."""
    places = asyncio.Semaphore(AT_ONCE)
    async with Forge() as forge:

        async def do(number: int, row: Row) -> Account:
            async with places:
                # A server of its own, since one row crashes it.
                postgres = await asyncio.to_thread(Postgres) if row.store == POSTGRESQL else None
                try:
                    account, faults = await run(
                        row,
                        forge=forge,
                        folder=folder / f"row-{number}",
                        size=size,
                        postgres=postgres,
                    )
                finally:
                    if postgres is not None:
                        await asyncio.to_thread(postgres.close)
            for line in (f"{row.store}, {row.what}: {account}", *faults):
                print(line, file=sys.stderr, flush=True)
            return account

        return await asyncio.gather(*(do(number, row) for number, row in enumerate(chosen)))


def main() -> int:
    """Run it; the exit code says whether every promise was kept."""
    options = argparse.ArgumentParser(prog="python -m tests.chaos")
    options.add_argument("--row", default="", help="only rows whose words contain this")
    options.add_argument("--keep", type=Path, help="keep logs and databases in this folder")
    options.add_argument("--every", type=int, default=2, help="every so many moments of a life")
    options.add_argument("--jobs", type=int, default=120)
    options.add_argument("--kills", type=int, default=12)
    asked = options.parse_args()
    size = Size(every=asked.every, jobs=asked.jobs, kills=asked.kills)
    chosen = [row for row in rows() if asked.row in f"{row.store}, {row.what}"]
    with tempfile.TemporaryDirectory(prefix="taxiway-chaos-") as scratch:
        folder = asked.keep or Path(scratch)
        folder.mkdir(exist_ok=True)
        accounts = asyncio.run(run_all(chosen, folder, size))
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores"
    write(chosen, accounts, machine=machine, size=size, whole=not asked.row)
    return int(any(account.broken for account in accounts))


if __name__ == "__main__":
    sys.exit(main())
