"""Panels as values, and the JSON that Grafana makes of them. Nothing else here knows Grafana's words for a panel.

In an expression `@` stands for the filters of every query, `@M` for these and the model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SELECTOR = 'namespace=~"$namespace",job=~"$job",instance=~"$instance"'

#: Every query goes to the data source that the page's variable names.
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

GOOD, WARN, BAD, CALM = "green", "orange", "red", "blue"

Kind = Literal["stat", "timeseries", "heatmap", "table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One expression. `instant` asks for its value now; `unit` is its own where a panel has several."""

    expr: str
    legend: str = ""
    instant: bool = False
    exemplars: bool = False
    unit: str | None = None

    def json(self, ref: str, *, form: str) -> dict[str, Any]:
        """Return the target, under the letter `ref`."""
        expr = self.expr.replace("@M", f'{SELECTOR},model=~"$model"').replace("@", SELECTOR)
        return {
            "datasource": DATASOURCE,
            "editorMode": "code",
            "exemplar": self.exemplars,
            "expr": " ".join(expr.split()),
            "format": form,
            "instant": self.instant,
            "legendFormat": self.legend or "__auto",
            "range": not self.instant,
            "refId": ref,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel. `says` tells what is good and what to do; `alerts` are those that watch what it shows."""

    kind: Kind
    title: str
    says: str
    unit: str
    width: int
    queries: tuple[Query, ...]
    height: int = 8
    alerts: tuple[str, ...] = ()
    steps: tuple[tuple[float | None, str], ...] = ((None, GOOD),)
    """Thresholds: from which number on which colour; None is the lowest."""
    line: bool = False
    """Whether the thresholds are drawn."""
    decimals: int | None = None
    least: float | None = 0
    most: float | None = None
    nothing: str = "0"
    """What is shown where there is no data."""
    stacked: bool = False
    colours: Mapping[str, str] = field(default_factory=dict)
    """Series name → colour."""
    links: tuple[dict[str, Any], ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    """Of a table: field → heading; fields that are not named are left out."""

    def json(self, number: int, *, x: int, y: int) -> dict[str, Any]:
        """Return the panel with this id at this place of the grid."""
        form = {"heatmap": "heatmap", "table": "table"}.get(self.kind, "time_series")
        panel = {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self._description(),
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "datasource": DATASOURCE,
            "targets": [
                query.json(chr(ord("A") + i), form=form) for i, query in enumerate(self.queries)
            ],
            "fieldConfig": {"defaults": self._defaults(), "overrides": self._overrides()},
            "options": _OPTIONS[self.kind](self),
        }
        if self.kind == "table":
            panel["transformations"] = _table(self.columns)
        return panel

    def _description(self) -> str:
        if not self.alerts:
            return self.says
        return f"{self.says}\n\nAlerts: {', '.join(self.alerts)}."

    def _defaults(self) -> dict[str, Any]:
        defaults: dict[str, Any] = {
            "unit": self.unit,
            "noValue": self.nothing,
            "color": {"mode": "thresholds" if self.kind == "stat" else "palette-classic"},
            "thresholds": {
                "mode": "absolute",
                "steps": [{"value": value, "color": colour} for value, colour in self.steps],
            },
            "links": list(self.links),
            "mappings": [],
            "custom": _CUSTOM[self.kind](self),
        }
        bounds = {"decimals": self.decimals, "min": self.least, "max": self.most}
        if self.kind != "table":
            defaults |= {name: value for name, value in bounds.items() if value is not None}
        return defaults

    def _overrides(self) -> list[dict[str, Any]]:
        overrides = [
            _override(name, "color", {"fixedColor": colour, "mode": "fixed"})
            for name, colour in self.colours.items()
        ]
        named = [query for query in self.queries if query.unit is not None]
        return overrides + [_override(query.legend, "unit", query.unit) for query in named]


def _override(name: str, what: str, value: object) -> dict[str, Any]:
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": what, "value": value}],
    }


def _stat(panel: Panel) -> dict[str, Any]:
    return {
        "colorMode": "value",
        "graphMode": "none" if any(query.instant for query in panel.queries) else "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showPercentChange": False,
        "textMode": "value_and_name" if len(panel.queries) > 1 else "value",
        "wideLayout": True,
    }


def _graph(_panel: Panel) -> dict[str, Any]:
    return {
        "legend": {
            "calcs": ["lastNotNull", "mean", "max"],
            "displayMode": "table",
            "placement": "bottom",
            "showLegend": True,
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _heatmap(panel: Panel) -> dict[str, Any]:
    return {
        "calculate": False,
        "cellGap": 1,
        "color": {
            "exponent": 0.5,
            "fill": "dark-orange",
            "mode": "scheme",
            "reverse": False,
            "scale": "exponential",
            "scheme": "Oranges",
            "steps": 64,
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": False},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": panel.unit},
    }


def _rows(_panel: Panel) -> dict[str, Any]:
    return {
        "cellHeight": "sm",
        "footer": {"countRows": False, "fields": "", "reducer": ["sum"], "show": False},
        "showHeader": True,
    }


_OPTIONS = {"stat": _stat, "timeseries": _graph, "heatmap": _heatmap, "table": _rows}


def _graph_custom(panel: Panel) -> dict[str, Any]:
    return {
        "drawStyle": "line",
        "fillOpacity": 30 if panel.stacked else 8,
        "lineWidth": 1,
        "pointSize": 4,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if panel.stacked else "none"},
        "thresholdsStyle": {"mode": "dashed" if panel.line else "off"},
    }


def _heatmap_custom(_panel: Panel) -> dict[str, Any]:
    return {"scaleDistribution": {"type": "linear"}}


def _table_custom(_panel: Panel) -> dict[str, Any]:
    return {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False}


_CUSTOM = {
    "stat": lambda _panel: {},
    "timeseries": _graph_custom,
    "heatmap": _heatmap_custom,
    "table": _table_custom,
}


def _table(columns: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what joins the queries of a table to one row each, and names its columns."""
    return [
        {"id": "merge", "options": {}},
        {"id": "filterFieldsByName", "options": {"include": {"names": list(columns)}}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {},
                "indexByName": {name: place for place, name in enumerate(columns)},
                "renameByName": dict(columns),
            },
        },
    ]
