"""The dashboards: generated, complete in what they say, and asking only for what the service tells."""

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from taxiway.metrics.table import Kind

ROOT = Path(__file__).parent.parent
GRAFANA = ROOT / "grafana"
PAGES = {path.stem: json.loads(path.read_text()) for path in GRAFANA.glob("dashboards/*.json")}

promql = runpy.run_path(str(ROOT / "tests" / "promql.py"))
selectors, aggregations, labels_by = (
    promql[name] for name in ("selectors", "aggregations", "labels_by")
)
row_of, labels_of = promql["row_of"], promql["labels_of"]

#: Names of Grafana's units that these pages use; a misspelt one is shown as it is written.
UNITS = {
    *("s", "dtdurations", "short", "percentunit", "currencyUSD", "bytes"),
    *("reqps", "ops"),
}

SOURCE = {"type": "prometheus", "uid": "${datasource}"}

#: Ranges that are not the page's own resolution: totals, and windows that the question itself names.
WINDOWS = ("$__rate_interval", "$__range", "1h", "6h", "24h", "5m")


def panels(page: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every panel of a page, those in collapsed rows too, without the rows."""
    for panel in page["panels"]:
        yield from panel.get("panels", ())
        if panel["type"] != "row":
            yield panel


def expressions(page: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every query of a page, and what asks it."""
    for panel in panels(page):
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for annotation in page["annotations"]["list"]:
        if "target" in annotation:
            yield annotation["name"], annotation["target"]["expr"]


every_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())


def test_the_pages_are_what_their_source_makes() -> None:
    """Generating them anew changes nothing."""
    done = subprocess.run(
        [sys.executable, str(GRAFANA / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_there_are_four_pages() -> None:
    """Each has an address that never changes."""
    assert {page["uid"] for page in PAGES.values()} == {
        *("taxiway-overview", "taxiway-jobs", "taxiway-cost", "taxiway-runtime"),
    }


@every_page
def test_a_page_is_for_looking(page: dict[str, Any]) -> None:
    """It is not edited in place, reloads itself, fits Grafana 10 and later, and shares its crosshair."""
    assert page["editable"] is False
    assert page["refresh"] == "30s"
    assert page["timezone"] == "browser"
    assert page["graphTooltip"] == 1
    assert page["schemaVersion"] >= 39
    assert page["id"] is None
    assert page["description"]


@every_page
def test_the_pages_lead_to_each_other(page: dict[str, Any]) -> None:
    """All bear the tag that the links between them go by, and time and variables travel along."""
    [link] = page["links"]

    assert page["tags"] == link["tags"] == ["taxiway"]
    assert (link["type"], link["keepTime"], link["includeVars"]) == ("dashboards", True, True)


@every_page
def test_the_data_source_is_a_variable(page: dict[str, Any]) -> None:
    """Panels, queries, annotations and variables all use the source that is chosen at the top."""
    sources = [
        *(panel["datasource"] for panel in panels(page)),
        *(target["datasource"] for panel in panels(page) for target in panel["targets"]),
        *(a["datasource"] for a in page["annotations"]["list"] if not a.get("builtIn")),
        *(v["datasource"] for v in page["templating"]["list"] if v["type"] == "query"),
    ]

    assert [source for source in sources if source != SOURCE] == []


@every_page
def test_the_variables(page: dict[str, Any]) -> None:
    """What is chosen from reloads with the time range, and all of it is chosen at first."""
    variables = {each["name"]: each for each in page["templating"]["list"]}
    chosen = {name: each for name, each in variables.items() if each["type"] == "query"}

    assert [*variables] == [
        *("datasource", "namespace", "job", "instance", "model", "loki", "tempo"),
    ]
    assert {each["refresh"] for each in chosen.values()} == {2}
    assert {each["multi"] for each in chosen.values()} == {True}
    assert {name: each["allValue"] for name, each in chosen.items()} == {
        "namespace": ".*",  # a Prometheus outside of Kubernetes knows no namespace
        "job": ".+",
        "instance": ".+",
        "model": ".+",
    }


@every_page
def test_a_panel_says_what_it_shows(page: dict[str, Any]) -> None:
    """Each has a title, a description, a unit, a query, and a word for when there is nothing."""
    for panel in panels(page):
        defaults = panel["fieldConfig"]["defaults"]

        assert panel["title"]
        assert panel["description"].endswith(".")
        assert defaults["unit"] in UNITS
        assert defaults["noValue"]
        assert panel["targets"]


@every_page
def test_panels_have_numbers_and_titles_of_their_own(page: dict[str, Any]) -> None:
    """No two panels of a page have the same id; rows count too."""
    numbers = [p["id"] for p in page["panels"]] + [
        inner["id"] for p in page["panels"] for inner in p.get("panels", ())
    ]

    assert len(numbers) == len(set(numbers))


@every_page
def test_the_grid_is_full(page: dict[str, Any]) -> None:
    """Panels neither overlap nor leave gaps, in the page and within each of its collapsed rows."""
    collapsed = [panel for panel in page["panels"] if panel.get("panels")]
    for group in [page["panels"], *(row["panels"] for row in collapsed)]:
        cells = [
            (x, y)
            for panel in group
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]
        lines = {y for _, y in cells}

        assert len(cells) == len(set(cells)) == 24 * len(lines)
        assert lines == set(range(min(lines), max(lines) + 1))


@every_page
def test_a_page_is_light(page: dict[str, Any]) -> None:
    """What is open at first asks some two dozen questions, not hundreds."""
    open_at_first = [panel for panel in page["panels"] if panel["type"] != "row"]

    assert sum(len(panel["targets"]) for panel in open_at_first) <= 33


# The queries


def asks_for_what_there_is(expr: str) -> bool:
    """Every metric stands in the table, and every label that is matched or grouped by is one of its own."""
    found = [selector for selector in selectors(expr) if row_of(selector.name) is not None]
    if len(found) < len(selectors(expr)):
        return not found
    known = {label for selector in found for label in labels_of(selector.name)}
    matched = all(set(selector.matchers) <= labels_of(selector.name) for selector in found)
    return matched and all(labels_by(node) <= known for node, _ in aggregations(expr))


def keeps_to_what_is_chosen(expr: str) -> bool:
    """The page's variables filter every series; the kubelet's and the alerts' have but one of these labels."""
    everything = {"namespace", "job", "instance"}
    fewer = {
        "ALERTS": {"job"},
        "kubelet_volume_stats_available_bytes": {"namespace"},
        "kubelet_volume_stats_capacity_bytes": {"namespace"},
    }
    return all(
        {label for label in everything if f"${label}" in matchers} == fewer.get(name, everything)
        for name, matchers in re.findall(r"([a-zA-Z_:]+)\{([^}]*)\}", expr)
    )


def ranges_follow_the_page(expr: str) -> bool:
    """A range is the page's resolution or its whole, or a window that the panel's question names."""
    return set(re.findall(r"\[([^\]]+)\]", expr)) <= set(WINDOWS)


def counters_are_read_as_growth(expr: str) -> bool:
    """What only grows stands within rate or increase and nowhere else; a gauge never does."""
    return all(
        (selector.function in ("rate", "increase")) is (row.kind in (Kind.COUNTER, Kind.HISTOGRAM))
        for selector in selectors(expr)
        if (row := row_of(selector.name)) is not None
    )


def shared_facts_are_not_added_up(expr: str) -> bool:
    """Of what every replica tells alike, the max or the min of the replicas is taken first."""
    return all(
        selector.aggregation in ("max", "min")
        for selector in selectors(expr)
        if (row := row_of(selector.name)) is not None and row.across != "sum"
    )


def quantiles_are_over_sums_of_buckets(expr: str) -> bool:
    """A quantile is taken of a sum that keeps `le`."""
    return all(
        selector.aggregation == "sum" and "le" in selector.kept
        for selector in selectors(expr)
        if selector.name.endswith("_bucket")
    )


RULES: tuple[Callable[[str], bool], ...] = (
    asks_for_what_there_is,
    keeps_to_what_is_chosen,
    ranges_follow_the_page,
    counters_are_read_as_growth,
    shared_facts_are_not_added_up,
    quantiles_are_over_sums_of_buckets,
)


@every_page
@pytest.mark.parametrize("rule", RULES)
def test_the_queries_of_a_page(page: dict[str, Any], rule: Callable[[str], bool]) -> None:
    """Each query parses and keeps every rule."""
    offenders = [(title, expr) for title, expr in expressions(page) if not rule(expr)]

    assert offenders == []


@pytest.mark.parametrize(
    ("rule", "expr"),
    [
        (asks_for_what_there_is, "sum(rate(taxiway_jobs_finished_total{result='x'}[5m]))"),
        (asks_for_what_there_is, "sum by (reasons) (rate(taxiway_jobs_finished_total[5m]))"),
        (keeps_to_what_is_chosen, 'taxiway_draining{job=~"$job"}'),
        (ranges_follow_the_page, "rate(taxiway_polls_total[7m])"),
        (counters_are_read_as_growth, "sum(taxiway_polls_total)"),
        (counters_are_read_as_growth, "rate(taxiway_draining[5m])"),
        (shared_facts_are_not_added_up, "sum(taxiway_store_jobs)"),
        (shared_facts_are_not_added_up, "sum(sum by (phase) (taxiway_store_jobs))"),
        (
            quantiles_are_over_sums_of_buckets,
            "histogram_quantile(0.9, sum by (phase) (rate(taxiway_job_phase_duration_seconds_bucket[5m])))",
        ),
        (
            quantiles_are_over_sums_of_buckets,
            "histogram_quantile(0.9, rate(taxiway_job_phase_duration_seconds_bucket[5m]))",
        ),
    ],
)
def test_the_rules_find_what_they_look_for(rule: Callable[[str], bool], expr: str) -> None:
    """A query that breaks a rule is found."""
    assert not rule(expr)


def test_a_metric_that_nobody_exposes_is_found() -> None:
    """A misspelt name is an error, not a page without data."""
    with pytest.raises(KeyError):
        asks_for_what_there_is("sum(taxiway_job_in_progress)")


# The alerts


def test_every_alert_has_a_panel() -> None:
    """Whoever is called can look at what the alert saw: each is named by a panel, and no panel names another."""
    rules = yaml.safe_load((ROOT / "deploy/monitoring/rules.yaml").read_text())
    alerts = {
        rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule
    }
    named = {
        alert
        for page in PAGES.values()
        for panel in panels(page)
        for alert in re.findall(r"\bTaxiway[A-Z]\w+", panel["description"])
    }

    assert named == alerts


# What Grafana is told besides


def test_grafana_finds_the_pages() -> None:
    """The provisioning names the folder that the pages are mounted at, and keeps them as they are."""
    [provider] = yaml.safe_load((GRAFANA / "provisioning/dashboards/taxiway.yaml").read_text())[
        "providers"
    ]
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    mounts = [volume.split(":") for volume in compose["services"]["grafana"]["volumes"]]
    folders = {mount[0]: mount[1] for mount in mounts}

    assert provider["options"]["path"] == folders["../grafana/dashboards"]
    assert provider["allowUiUpdates"] is False


def test_grafana_finds_the_numbers() -> None:
    """The data source is the Prometheus of the compose file, and an exemplar leads to a trace."""
    [source] = yaml.safe_load((GRAFANA / "provisioning/datasources/taxiway.yaml").read_text())[
        "datasources"
    ]
    [destination] = source["jsonData"]["exemplarTraceIdDestinations"]

    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    assert destination["name"] == "trace_id"
