"""Writes `dashboards/*.json` from `source/`.

python grafana/generate.py            writes them
python grafana/generate.py --check    says whether they are what the source makes, and writes nothing
"""

import json
import sys
from pathlib import Path

from source.cost import COST
from source.jobs import JOBS
from source.overview import OVERVIEW
from source.runtime import RUNTIME

PAGES = {"overview": OVERVIEW, "jobs": JOBS, "cost": COST, "runtime": RUNTIME}

FOLDER = Path(__file__).parent / "dashboards"


def main() -> int:
    """Write or check every page. Returns 1 where a checked file differs."""
    stale = []
    for name, page in PAGES.items():
        path = FOLDER / f"{name}.json"
        text = json.dumps(page.json(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(path.name)
    if stale:
        sys.stderr.write(f"{', '.join(stale)}: run python grafana/generate.py\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
