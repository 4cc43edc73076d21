"""A page: panels in rows, the variables and annotations that all pages share, and the way to the other pages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from source.panels import DATASOURCE, SELECTOR, Panel

#: What Grafana 10 and everything after it reads.
SCHEMA_VERSION = 39

GRID = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Some panels under a heading; the ones at the top of a page have none."""

    panels: tuple[Panel, ...]
    title: str | None = None
    collapsed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One dashboard. Its `uid` is its address and never changes."""

    uid: str
    title: str
    asks: str
    sections: tuple[Section, ...]

    def json(self) -> dict[str, Any]:
        """Return the dashboard as Grafana imports it."""
        return {
            "annotations": {"list": _annotations()},
            "description": self.asks,
            "editable": False,
            "fiscalYearStartMonth": 0,
            "graphTooltip": 1,
            "id": None,
            "links": [_other_pages()],
            "liveNow": False,
            "panels": list(_laid_out(self.sections)),
            "refresh": "30s",
            "schemaVersion": SCHEMA_VERSION,
            "tags": ["taxiway"],
            "templating": {"list": _variables()},
            "time": {"from": "now-6h", "to": "now"},
            "timepicker": {},
            "timezone": "browser",
            "title": self.title,
            "uid": self.uid,
            "version": 1,
            "weekStart": "",
        }


def _laid_out(sections: Sequence[Section]) -> Iterator[dict[str, Any]]:
    number, y = 1, 0
    for section in sections:
        row = None
        if section.title is not None:
            row = _row(section, number, y)
            yield row
            number, y = number + 1, y + 1
        below = y
        for panel, x, place in _flow(section.panels, y):
            placed = panel.json(number, x=x, y=place)
            number, below = number + 1, place + panel.height
            if section.collapsed and row is not None:
                row["panels"].append(placed)
            else:
                yield placed
        y = y if section.collapsed else below


def _flow(panels: Sequence[Panel], y: int) -> Iterator[tuple[Panel, int, int]]:
    """Yield each panel with its x and y: from left to right, in full lines."""
    x = 0
    for panel in panels:
        yield panel, x, y
        x += panel.width
        if x == GRID:
            x, y = 0, y + panel.height
    if x:
        raise ValueError(f"The line that ends with {panels[-1].title!r} is {x} wide, not {GRID}.")


def _row(section: Section, number: int, y: int) -> dict[str, Any]:
    return {
        "collapsed": section.collapsed,
        "gridPos": {"h": 1, "w": GRID, "x": 0, "y": y},
        "id": number,
        "panels": [],
        "title": section.title,
        "type": "row",
    }


def _other_pages() -> dict[str, Any]:
    return {
        "asDropdown": False,
        "icon": "external link",
        "includeVars": True,
        "keepTime": True,
        "tags": ["taxiway"],
        "targetBlank": False,
        "title": "Taxiway",
        "tooltip": "",
        "type": "dashboards",
        "url": "",
    }


def _annotations() -> list[dict[str, Any]]:
    builds = f"taxiway_build_info{{{SELECTOR}}}"
    return [
        {
            "builtIn": 1,
            "datasource": {"type": "grafana", "uid": "-- Grafana --"},
            "enable": True,
            "hide": True,
            "iconColor": "rgba(0, 211, 255, 1)",
            "name": "Annotations & Alerts",
            "type": "dashboard",
        },
        _annotation(
            "Rollouts",
            f"count by (version) ({builds}) unless count by (version) ({builds} offset 5m)",
            "blue",
            "version {{version}}",
        ),
        _annotation(
            "Restarts",
            f"changes(process_start_time_seconds{{{SELECTOR}}}[$__rate_interval]) > 0",
            "purple",
            "restart of {{instance}}",
        ),
        _annotation(
            "Alerts",
            'ALERTS{job=~"$job",alertname=~"Taxiway.+",alertstate="firing"}',
            "red",
            "{{alertname}}",
        ),
    ]


def _annotation(name: str, expr: str, colour: str, title: str) -> dict[str, Any]:
    return {
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": colour,
        "name": name,
        "target": {"expr": expr, "interval": "60s", "refId": "annotation"},
        "titleFormat": title,
        "useValueForTime": False,
    }


def _variables() -> list[dict[str, Any]]:
    """Return the variables: what the service runs as, and the two sources that it can do without."""
    here = 'taxiway_build_info{namespace=~"$namespace"%s}'
    return [
        _source("datasource", "Data source", "prometheus"),
        _values("namespace", "Namespace", "label_values(taxiway_build_info, namespace)", ".*"),
        _values("job", "Job", f"label_values({here % ''}, job)"),
        _values("instance", "Instance", "label_values(%s, instance)" % (here % ',job=~"$job"')),
        _values("model", "Model", 'label_values(taxiway_jobs_submitted_total{job=~"$job"}, model)'),
        _source("loki", "Logs", "loki"),
        _source("tempo", "Traces", "tempo"),
    ]


def _source(name: str, label: str, kind: str) -> dict[str, Any]:
    return {
        "hide": 0 if kind == "prometheus" else 2,
        "includeAll": False,
        "label": label,
        "multi": False,
        "name": name,
        "options": [],
        "query": kind,
        "refresh": 1,
        "regex": "",
        "type": "datasource",
    }


def _values(name: str, label: str, query: str, everything: str = ".+") -> dict[str, Any]:
    return {
        "allValue": everything,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "datasource": DATASOURCE,
        "hide": 0,
        "includeAll": True,
        "label": label,
        "multi": True,
        "name": name,
        "options": [],
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "type": "query",
    }
