"""Draws a page as Grafana would show it, about, from what a Prometheus really knows.

    python grafana/preview.py http://127.0.0.1:9090 [--page overview] [--minutes 30] [--out grafana/preview.png]

The numbers are real, the look is not: Grafana itself is not needed. The picture says so.
"""

import argparse
import json
import re
import textwrap
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, date2num

HERE = Path(__file__).parent

BACK, CARD, EDGE, TEXT, FAINT = "#111217", "#181b1f", "#2c3235", "#ccccdc", "#7b8087"
NAMED = {"green": "#73bf69", "orange": "#ff9830", "red": "#f2495c", "blue": "#5794f2"}
SERIES = (
    "#73bf69",
    "#f2cc0c",
    "#8ab8ff",
    "#ff780a",
    "#f2495c",
    "#5794f2",
    "#b877d9",
    "#705da0",
    "#37872d",
)

#: Of one cell of the grid, in inches; a row of Grafana's grid is 30 px.
CELL_W, CELL_H, HEAD = 0.72, 0.34, 0.5

Row = tuple[str, "np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A Prometheus, and the time that is drawn."""

    url: str
    end: float
    span_s: float

    @property
    def step_s(self) -> float:
        """How far apart the points are."""
        return max(5.0, self.span_s / 240)

    def rows(self, target: dict[str, Any]) -> list[Row]:
        """Return a target's series: legend, dates, values."""
        expr = self._filled(target["expr"])
        if target["instant"]:
            found = self._ask("query", query=expr, time=f"{self.end}")
            points = [(each["metric"], [each["value"]]) for each in found]
        else:
            window = {"start": f"{self.end - self.span_s}", "end": f"{self.end}"}
            found = self._ask("query_range", query=expr, step=f"{self.step_s}", **window)
            points = [(each["metric"], each["values"]) for each in found]
        return [
            (_legend(target["legendFormat"], labels), *np.array(values, dtype=float).T)
            for labels, values in points
        ]

    def labels(self, target: dict[str, Any]) -> list[dict[str, str]]:
        """Return the labels of each series of a table's target."""
        found = self._ask("query", query=self._filled(target["expr"]), time=f"{self.end}")
        return [each["metric"] for each in found]

    def _ask(self, path: str, **parameters: str) -> list[Any]:
        address = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=30) as response:  # noqa: S310 - as given
            result: list[Any] = json.load(response)["data"]["result"]
        return result

    def _filled(self, expr: str) -> str:
        values = {
            "$__rate_interval": f"{max(60, int(4 * self.step_s))}s",
            "$__range": f"{int(self.span_s)}s",
        }
        for name, value in values.items():
            expr = expr.replace(name, value)
        return re.sub(r"\$(namespace|job|instance|model)", ".*", expr)


def draw(page: dict[str, Any], source: Source, out: Path) -> None:
    """Draw a page's panels at their places, and say what the picture is."""
    panels = page["panels"]
    height = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in panels)
    figure = plt.figure(figsize=(24 * CELL_W, height * CELL_H + HEAD), facecolor=BACK, dpi=80)
    scale_y = height * CELL_H / (height * CELL_H + HEAD)
    for panel in panels:
        grid = panel["gridPos"]
        box = (
            grid["x"] / 24,
            (1 - (grid["y"] + grid["h"]) / height) * scale_y,
            grid["w"] / 24,
            grid["h"] / height * scale_y,
        )
        _panel(figure, panel, box, source)
    _heading(figure, page, source)
    figure.savefig(out, facecolor=BACK)
    plt.close(figure)


def _heading(figure: Any, page: dict[str, Any], source: Source) -> None:
    drawn = datetime.fromtimestamp(source.end, UTC).strftime("%Y-%m-%d %H:%M UTC")
    figure.text(0.006, 0.989, page["title"], color=TEXT, size=15, weight="bold", va="top")
    note = (
        f"Preview: drawn from a live scrape with matplotlib, {drawn}, last {source.span_s / 60:.0f} minutes, "
        "against the sandbox. In Grafana it looks like Grafana."
    )
    figure.text(0.994, 0.988, note, color=FAINT, size=9, va="top", ha="right")


def _panel(figure: Any, panel: dict[str, Any], box: Sequence[float], source: Source) -> None:
    x, y, w, h = box
    if panel["type"] == "row":
        figure.text(x + 0.006, y + h / 2, f"▾  {panel['title']}", color=TEXT, size=11, va="center")
        return
    frame = figure.add_axes((x + 0.002, y + 0.0015, w - 0.004, h - 0.003), facecolor=CARD)
    frame.set(xticks=[], yticks=[])
    for spine in frame.spines.values():
        spine.set_color(EDGE)
    figure.text(x + 0.006, y + h - 0.006, panel["title"], color=TEXT, size=9.5, va="top")
    _DRAW[panel["type"]](figure, panel, box, source)


def _stat(figure: Any, panel: dict[str, Any], box: Sequence[float], source: Source) -> None:
    x, y, w, h = box
    defaults = panel["fieldConfig"]["defaults"]
    units = {
        o["matcher"]["options"]: o["properties"][0]["value"]
        for o in panel["fieldConfig"]["overrides"]
    }
    found = [(t, source.rows(t)) for t in panel["targets"]]
    for place, (target, rows) in enumerate(found):
        value = rows[0][2][-1] if rows else None
        unit = units.get(target["legendFormat"], defaults["unit"])
        text = defaults["noValue"] if value is None else _number(value, unit)
        colour = _step(defaults["thresholds"]["steps"], value)
        middle = x + w * (place + 0.5) / len(found)
        figure.text(middle, y + h * 0.42, text, color=colour, size=19, ha="center", va="center")
        if len(found) > 1:
            name = target["legendFormat"]
            figure.text(middle, y + h * 0.14, name, color=FAINT, size=8.5, ha="center", va="center")


def _graph(figure: Any, panel: dict[str, Any], box: Sequence[float], source: Source) -> None:
    axes = _axes(figure, box, legend=True)
    defaults = panel["fieldConfig"]["defaults"]
    fixed = _fixed(panel)
    rows = [row for target in panel["targets"] for row in source.rows(target)]
    rows = [
        row for row in rows if np.isfinite(row[2]).any() and (len(rows) < 6 or np.nansum(row[2]))
    ]
    colours = [fixed.get(name, SERIES[i % len(SERIES)]) for i, (name, _, _) in enumerate(rows)]
    if defaults["custom"]["stacking"]["mode"] == "normal" and rows:
        _stack(axes, rows, colours, source)
    else:
        for (name, dates, values), colour in zip(rows, colours, strict=True):
            axes.plot(_dates(dates), values, color=colour, lw=1.1, label=name)
    if defaults["custom"]["thresholdsStyle"]["mode"] != "off":
        for step in defaults["thresholds"]["steps"][1:]:
            axes.axhline(step["value"], color=NAMED["red"], lw=0.8, ls="--", alpha=0.7)
            if not any(np.nansum(values) for _, _, values in rows):
                axes.set_ylim(top=2 * step["value"])
    _limits(axes, defaults)
    axes.set_xlim(*_dates((source.end - source.span_s, source.end)))
    axes.yaxis.set_major_formatter(lambda value, _: _number(value, defaults["unit"]))
    if rows:
        names = [
            f"{name}   {_number(values[-1], defaults['unit'])}" for name, _, values in rows[:8]
        ]
        handles = [plt.Line2D([], [], color=colour, lw=2) for colour in colours[:8]]
        axes.legend(
            handles,
            names,
            loc="upper left",
            bbox_to_anchor=(-0.02, -0.1),
            ncols=min(max(3, panel["gridPos"]["w"] // 3), len(names)),
            frameon=False,
            labelcolor=TEXT,
            fontsize=7.5,
            columnspacing=1.2,
            handlelength=1.0,
        )


def _stack(axes: Axes, rows: list[Row], colours: list[str], source: Source) -> None:
    grid = np.arange(source.end - source.span_s, source.end, source.step_s)
    layers = [np.interp(grid, d, np.nan_to_num(v), left=0) for _, d, v in rows]
    axes.stackplot(_dates(grid), layers, colors=colours, alpha=0.45, lw=0)
    for level, colour in zip(np.cumsum(layers, axis=0), colours, strict=True):
        axes.plot(_dates(grid), level, color=colour, lw=0.9)


def _heatmap(figure: Any, panel: dict[str, Any], box: Sequence[float], source: Source) -> None:
    axes = _axes(figure, box, legend=False)
    rows = source.rows(panel["targets"][0])
    rows = sorted(rows, key=lambda row: float(row[0].replace("+Inf", "inf")))
    if not rows:
        axes.text(0.5, 0.5, "no data", color=FAINT, ha="center", transform=axes.transAxes)
        return
    grid = np.arange(source.end - source.span_s, source.end, source.step_s)
    levels = np.array([np.interp(grid, d, np.nan_to_num(v), left=0) for _, d, v in rows])
    cells = np.diff(levels, axis=0, prepend=0).clip(0)
    filled = np.nonzero(cells.sum(axis=1))[0]
    low, high = max(0, filled.min() - 1), min(len(rows) - 1, filled.max() + 1)
    shown = np.ma.masked_less_equal(cells[low : high + 1], 0.01)
    axes.pcolormesh(
        _dates(grid), np.arange(len(shown)), shown**0.5, cmap="Oranges_r", shading="nearest"
    )
    names = [row[0] for row in rows[low : high + 1]]
    every = max(1, len(names) // 7)
    labels = ["more" if n == "+Inf" else _number(float(n), "s") for n in names[::every]]
    axes.set_yticks(range(0, len(names), every), labels)
    axes.grid(visible=False)


def _table(figure: Any, panel: dict[str, Any], box: Sequence[float], source: Source) -> None:
    x, y, w, h = box
    [columns] = [
        t["options"]["renameByName"] for t in panel["transformations"] if t["id"] == "organize"
    ]
    rows = [labels for target in panel["targets"][:1] for labels in source.labels(target)]
    for place, (name, heading) in enumerate(columns.items()):
        left = x + 0.008 + (w - 0.016) * place / len(columns)
        figure.text(left, y + h * 0.78, heading, color=NAMED["blue"], size=8.5, va="center")
        for line, row in enumerate(rows[:4]):
            figure.text(
                left,
                y + h * (0.58 - 0.16 * line),
                row.get(name, ""),
                color=TEXT,
                size=8.5,
                va="center",
            )
    if not rows:
        none = panel["fieldConfig"]["defaults"]["noValue"]
        figure.text(x + w / 2, y + h / 2, none, color=FAINT, size=10, ha="center")


_DRAW: dict[str, Callable[..., None]] = {
    "stat": _stat,
    "timeseries": _graph,
    "heatmap": _heatmap,
    "table": _table,
}


def _axes(figure: Any, box: Sequence[float], *, legend: bool) -> Axes:
    x, y, w, h = box
    below = 0.26 if legend else 0.14
    axes: Axes = figure.add_axes(
        (x + 0.034, y + h * below, w - 0.044, h * (0.86 - below)), facecolor=CARD
    )
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(colors=FAINT, labelsize=7.5, length=0)
    axes.grid(color=EDGE, lw=0.5)
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    axes.locator_params(axis="y", nbins=5)
    return axes


def _limits(axes: Axes, defaults: dict[str, Any]) -> None:
    low, high = axes.get_ylim()
    if "min" in defaults:
        axes.set_ylim(bottom=defaults["min"], top=high if high > defaults["min"] else 1)
    if "max" in defaults:
        axes.set_ylim(bottom=min(low, 0.98 * defaults["max"]), top=defaults["max"])
    axes.margins(x=0)


def _fixed(panel: dict[str, Any]) -> dict[str, str]:
    return {
        o["matcher"]["options"]: NAMED[p["value"]["fixedColor"]]
        for o in panel["fieldConfig"]["overrides"]
        for p in o["properties"]
        if p["id"] == "color"
    }


def _step(steps: list[dict[str, Any]], value: float | None) -> str:
    colour = steps[0]["color"] if value is not None else None
    for step in steps[1:]:
        if value is not None and value >= step["value"]:
            colour = step["color"]
    return NAMED.get(colour or "", FAINT)


def _legend(form: str, labels: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda m: labels.get(m[1], ""), form)


def _dates(seconds: Any) -> Any:
    return [date2num(datetime.fromtimestamp(each, UTC)) for each in seconds]


def _number(value: float, unit: str) -> str:
    if not np.isfinite(value):
        return "-"
    if unit == "percentunit":
        return f"{value * 100:.4g} %"
    if unit == "currencyUSD":
        return f"${value:,.2f}"
    if unit == "dtdurations":
        return f"{value / 86400:.1f} days" if value > 86400 else f"{value / 3600:.1f} h"
    if unit == "s":
        return _seconds(value)
    if unit == "bytes":
        return f"{value / 2**20:,.1f} MiB"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _seconds(value: float) -> str:
    if value == 0:
        return "0 s"
    if abs(value) < 1:
        return f"{value * 1000:.3g} ms"
    return f"{value / 60:.3g} min" if value >= 120 else f"{value:.3g} s"


def pages() -> Iterator[str]:
    """Yield the names of the pages."""
    yield from sorted(path.stem for path in (HERE / "dashboards").glob("*.json"))


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=textwrap.dedent(__doc__ or "").splitlines()[0])
    parser.add_argument("prometheus")
    parser.add_argument("--page", default="overview", choices=[*pages()])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--out", type=Path, default=HERE / "preview.png")
    given = parser.parse_args()
    page = json.loads((HERE / "dashboards" / f"{given.page}.json").read_text())
    now = time.time()  # noqa: TID251 - Prometheus wants dates
    draw(page, Source(url=given.prometheus, end=now, span_s=given.minutes * 60), given.out)


if __name__ == "__main__":
    main()
