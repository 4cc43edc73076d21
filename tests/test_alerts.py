"""The alerts: each fires when it should and is silent otherwise, and whoever it calls finds a page that helps.

`python tests/test_alerts.py` writes `deploy/components/monitoring/prometheusrule.yaml` anew from `rules.yaml`.
"""

import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from taxiway.outcomes import USERS_DOING

pytestmark = pytest.mark.looptime(False)

ROOT = Path(__file__).parent.parent
MONITORING = ROOT / "deploy" / "monitoring"
RUNBOOKS = ROOT / "docs" / "runbooks"
WRAPPED = ROOT / "deploy" / "components" / "monitoring" / "prometheusrule.yaml"

find = runpy.run_path(str(ROOT / "tests/programs.py"))["find"]
promql = runpy.run_path(str(ROOT / "tests/promql.py"))
selectors, row_of, labels_of = (promql[name] for name in ("selectors", "row_of", "labels_of"))

GROUPS = yaml.safe_load((MONITORING / "rules.yaml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
CASES = sorted(MONITORING.glob("rules*_test.yaml"))

every_alert = pytest.mark.parametrize("alert", ALERTS.values(), ids=ALERTS.keys())

_HEADER = """\
# monitoring/rules.yaml for the Prometheus operator. Written by `python tests/test_alerts.py`, which also holds the
# two against each other.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: taxiway
  labels:
    app.kubernetes.io/name: taxiway
    app.kubernetes.io/part-of: taxiway
spec:
"""


@pytest.fixture(scope="module")
def promtool() -> str:
    """Prometheus's own tool."""
    found: str | None = find("promtool")
    if found is None:
        pytest.skip("there is no promtool here, and no Debian to take it from")
    return found


def run(*command: str) -> tuple[int, str]:
    """Return the exit code of a program and all that it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    return done.returncode, done.stdout + done.stderr


def wrapped() -> str:
    """The rules as an object of the Prometheus operator."""
    text = (MONITORING / "rules.yaml").read_text()
    groups = text[text.index("groups:\n") :]
    return _HEADER + "".join(
        f"  {line}" if line.strip() else line for line in groups.splitlines(True)
    )


# What Prometheus says of them


def test_prometheus_takes_the_rules(promtool: str) -> None:
    """`promtool check rules` with all its lints has nothing to object."""
    code, said = run(
        *(promtool, "check", "rules", "--lint=all", "--lint-fatal"), str(MONITORING / "rules.yaml")
    )

    assert (code, said.splitlines()[-2:]) == (0, [f"  SUCCESS: {len(RULES)} rules found", ""])


@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.stem)
def test_the_cases_of_the_alerts(promtool: str, cases: Path) -> None:
    """In every case of the files beside the rules the alert fires, or is silent, as the case says."""
    code, said = run(promtool, "test", "rules", str(cases))

    assert (code, said) == (0, f"Unit Testing:  {cases}\n  SUCCESS\n\n")


def test_every_alert_has_a_case_of_either_kind() -> None:
    """One in which it fires, with its words, and one in which it is silent."""
    tests = [test for cases in CASES for test in yaml.safe_load(cases.read_text())["tests"]]
    checks = [check for test in tests for check in test["alert_rule_test"]]
    fire = {check["alertname"] for check in checks if check["exp_alerts"]}
    silent = {check["alertname"] for check in checks if not check["exp_alerts"]}

    assert fire == silent == set(ALERTS)


def test_a_rule_that_is_changed_turns_the_cases_red(promtool: str, tmp_path: Path) -> None:
    """The cases look at the thresholds: with a hundred times the burn rate allowed, one of them fails."""
    rules = (MONITORING / "rules.yaml").read_text().replace("14.4 * 0.01", "100 * 0.01")
    (tmp_path / "rules.yaml").write_text(rules)
    cases = yaml.safe_load((MONITORING / "rules_test.yaml").read_text())
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump({**cases, "tests": cases["tests"][:1]}))
    code, said = run(promtool, "test", "rules", str(tmp_path / "cases.yaml"))

    assert code == 1
    assert "TaxiwayJobErrorBudgetBurnFast" in said


# What they ask for


def exists(expr: str) -> bool:
    """Whether each series of a query is exposed or recorded, and has the labels that are asked for."""
    return all(
        selector.name in RECORDED
        if ":" in selector.name
        else row_of(selector.name) is None or set(selector.matchers) <= labels_of(selector.name)
        for selector in selectors(expr)
    )


def test_the_rules_ask_for_what_there_is() -> None:
    """No rule waits for a series that nobody exposes."""
    assert [rule for rule in RULES if not exists(rule["expr"])] == []


def test_callers_doing_is_no_failure_of_the_service() -> None:
    """What callers bring about themselves is told in one place of the code and one of the rules: the same."""
    ours = {rule["record"]: rule["expr"] for rule in RULES if "record" in rule}
    left_out = {
        name: set(re.findall(r'reason!~"([^"]+)"', ours[name])[0].split("|"))
        for name in ("job:taxiway_jobs_failed:rate5m", "job:taxiway_jobs_counted:rate5m")
    }

    assert left_out == {
        "job:taxiway_jobs_failed:rate5m": set(USERS_DOING) - {"cancelled"},
        "job:taxiway_jobs_counted:rate5m": set(USERS_DOING),
    }


def test_bounds_are_written_as_they_are_exposed() -> None:
    """`le` is written with its decimals, and is one of the histogram's own bounds: `60` would match nothing."""
    found = [
        (selector.name, selector.matchers["le"][1])
        for rule in RULES
        for selector in selectors(rule["expr"])
        if "le" in selector.matchers
    ]
    exposed = [(name, bound) for name, bound in found if float(bound) in row_of(name).buckets]

    assert found == exposed != []
    assert all("." in bound for _, bound in found)


# What they say to people


@every_alert
def test_an_alert_says_what_is_wrong(alert: dict[str, Any]) -> None:
    """It has a weight, a summary without numbers, a description with one, and the page of its runbook."""
    notes = alert["annotations"]

    assert alert["labels"]["severity"] in ("critical", "warning")
    assert "{{" not in notes["summary"]
    assert notes["summary"].endswith(".")
    assert notes["description"].endswith(".")
    assert notes["runbook_url"] == f"docs/runbooks/{alert['alert']}.md"


@every_alert
def test_an_alert_has_a_page_that_helps(alert: dict[str, Any]) -> None:
    """The runbook says what the alert means, what follows from it, what to ask, and what to do."""
    page = (ROOT / alert["annotations"]["runbook_url"]).read_text()
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)

    assert headings == [alert["alert"], "Meaning", "Impact", "Diagnosis", "Mitigation"]


def test_there_is_no_page_without_its_alert() -> None:
    """A runbook of an alert that is gone is gone too."""
    assert {path.stem for path in RUNBOOKS.glob("Taxiway*.md")} == set(ALERTS)


@every_alert
def test_the_queries_of_a_page_can_be_asked(alert: dict[str, Any]) -> None:
    """There is at least one, each parses, and asks for what there is."""
    page = (ROOT / alert["annotations"]["runbook_url"]).read_text()
    queries = re.findall(r"```promql\n(.+?)\n```", page, re.DOTALL)

    assert queries
    assert [query for query in queries if not exists(query)] == []


# How they travel


def test_the_operator_gets_the_same_rules() -> None:
    """The object for Kubernetes is made of the same file."""
    assert wrapped() == WRAPPED.read_text()
    assert yaml.safe_load(WRAPPED.read_text())["spec"]["groups"] == GROUPS


def test_the_example_of_alertmanager_finds_the_right_people() -> None:
    """`amtool` takes the example; a critical alert reaches the pager, a warning the chat."""
    amtool = find("amtool")
    if amtool is None:
        pytest.skip("there is no amtool here, and no Debian to take it from")
    example = str(MONITORING / "alertmanager.example.yaml")
    checked, _ = run(amtool, "check-config", example)
    routed = {
        severity: run(
            *(amtool, "config", "routes", "test", "--config.file", example),
            f"severity={severity}",
        )[1].split()[0]
        for severity in ("critical", "warning")
    }

    assert checked == 0
    assert routed == {"critical": "pager", "warning": "chat"}


def test_the_example_of_alertmanager_names_alerts_that_exist() -> None:
    """What silences what is told by name; each name fits at least one alert."""
    example = yaml.safe_load((MONITORING / "alertmanager.example.yaml").read_text())
    matchers = [
        matcher
        for rule in example["inhibit_rules"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
    ]
    names = [name for matcher in matchers for name in re.findall(r"Taxiway[A-Za-z.*]+", matcher)]

    assert names
    assert [n for n in names if not any(re.fullmatch(n, alert) for alert in ALERTS)] == []


if __name__ == "__main__":
    WRAPPED.write_text(wrapped())
    sys.exit(0)
