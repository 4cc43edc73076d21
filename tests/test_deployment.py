"""The manifests of `deploy/`: rendered by the real tool, held to the schemas of its API and to policies.

`deploy/tests` has the programs behind this chapter; `make deploy-check` holds more of the combinations to more.
"""

import copy
import json
import runpy
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

pytestmark = pytest.mark.looptime(False)

DEPLOY = Path(__file__).parents[1] / "deploy"
SCRIPTS = Path(sys.executable).parent

render = runpy.run_path(str(DEPLOY / "tests" / "render.py"))
policies = runpy.run_path(str(DEPLOY / "tests" / "policies.py"))
violations: Callable[[list[Any]], list[str]] = policies["violations"]

#: The oldest that is claimed, two between, the newest there is a schema for.
KUBERNETES = ("1.30", "1.32", "1.34", "1.37")

#: Kinds that are no part of Kubernetes; `make deploy-check` holds them to their own definitions.
CUSTOM = {
    "HTTPRoute",
    "BackendTrafficPolicy",
    "ScaledObject",
    "ExternalSecret",
    "ServiceMonitor",
    "PrometheusRule",
}


@pytest.fixture(scope="module")
def renderings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Every overlay, alone, with each component, and with all that go together; and the examples."""
    folder = tmp_path_factory.mktemp("renderings")
    files = render["render_all"](folder, kubectl=str(SCRIPTS / "kubectl"))
    return {file.stem: list(yaml.safe_load_all(file.read_text())) for file in files}


@pytest.fixture
def installation(renderings: dict[str, list[Any]]) -> list[Any]:
    """The PostgreSQL overlay with everything that a test may want to break."""
    names = (
        "postgres+gateway-api+gateway-api.envoy-gateway",
        "postgres+hpa",
        "postgres+migrate-job",
        "postgres+ingress",
    )
    seen = {json.dumps(each): each for name in names for each in renderings[name]}
    kept = [
        each
        for each in seen.values()
        if each["kind"] != "Deployment" or "replicas" not in each["spec"]
    ]
    return copy.deepcopy(kept)


@pytest.fixture
def sqlite(renderings: dict[str, list[Any]]) -> list[Any]:
    """The SQLite overlay."""
    return copy.deepcopy(renderings["sqlite"])


def distinct(renderings: Mapping[str, list[Any]]) -> list[Any]:
    """Return every object that occurs, once."""
    return list(
        {json.dumps(each): each for objects in renderings.values() for each in objects}.values()
    )


def the(objects: list[Any], kind: str) -> Any:
    """Return the one object of a kind."""
    [found] = [each for each in objects if each["kind"] == kind]
    return found


def at(tree: Any, path: str) -> tuple[Any, Any]:
    """Return the place that a path such as `spec/rules/0/host` names: what holds it, and its key."""
    *way, last = (
        int(step) if step.isdigit() else step.replace("|", "/") for step in path.split("/")
    )
    for step in way:
        tree = tree[step]
    return tree, last


def test_every_component_is_rendered(renderings: dict[str, list[Any]]) -> None:
    """No component of `deploy/components` is left out of what this chapter looks at."""
    components = {
        path.parent.relative_to(DEPLOY / "components").as_posix().replace("/", ".")
        for path in (DEPLOY / "components").rglob("kustomization.yaml")
    }
    rendered = {name for combination in renderings for name in combination.split("+")[1:]}

    assert components - {"workload"} == rendered


@pytest.mark.parametrize("kubernetes", KUBERNETES)
def test_the_api_server_would_take_every_object(
    renderings: dict[str, list[Any]], kubernetes: str
) -> None:
    """Each object fits its schema, with no unknown field, in the oldest Kubernetes claimed and the newest."""
    unknown = set()
    for each in distinct(renderings):
        try:
            kubernetes_validate.validate(each, kubernetes, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            unknown.add(each["kind"])

    assert set() == unknown - CUSTOM


def test_every_rendering_holds_to_the_policies(renderings: dict[str, list[Any]]) -> None:
    """Every combination is hardened, spread, drained, scaled and closed as `deploy/tests/policies.py` says."""
    found = {name: violations(objects) for name, objects in renderings.items()}

    assert {name: [] for name in renderings} == found


POD = "spec/template/spec"
BOX = f"{POD}/containers/0"
GONE = object()


@pytest.mark.parametrize(
    ("policy", "kind", "path", "value"),
    [
        ("restricted", "Deployment", f"{POD}/securityContext/runAsNonRoot", False),
        ("restricted", "Deployment", f"{POD}/securityContext/runAsUser", 0),
        ("restricted", "Deployment", f"{POD}/securityContext/seccompProfile", GONE),
        ("restricted", "Deployment", f"{POD}/hostNetwork", True),
        ("restricted", "Deployment", f"{POD}/volumes/0/emptyDir", {}),
        ("restricted", "Deployment", f"{BOX}/securityContext/allowPrivilegeEscalation", True),
        ("restricted", "Deployment", f"{BOX}/securityContext/readOnlyRootFilesystem", False),
        (
            "restricted",
            "Deployment",
            f"{BOX}/securityContext/capabilities",
            {"drop": ["ALL"], "add": ["NET_RAW"]},
        ),
        ("restricted", "Deployment", f"{BOX}/securityContext/privileged", True),
        ("restricted", "Job", f"{BOX}/securityContext/readOnlyRootFilesystem", False),
        ("without_the_api_server", "ServiceAccount", "automountServiceAccountToken", True),
        ("without_the_api_server", "Deployment", f"{POD}/automountServiceAccountToken", GONE),
        ("without_the_api_server", "Deployment", f"{POD}/enableServiceLinks", True),
        ("without_the_api_server", "Deployment", f"{POD}/serviceAccountName", "default"),
        ("resources", "Deployment", f"{BOX}/resources/limits/cpu", "1"),
        ("resources", "Deployment", f"{BOX}/resources/limits/memory", GONE),
        ("resources", "Deployment", f"{BOX}/resources/requests", GONE),
        ("probes", "Deployment", f"{BOX}/livenessProbe/httpGet/path", "/readyz"),
        ("probes", "Deployment", f"{BOX}/readinessProbe/httpGet/port", 4000),
        ("probes", "Deployment", f"{BOX}/startupProbe", GONE),
        ("grace", "Deployment", f"{POD}/terminationGracePeriodSeconds", 54),
        ("grace", "Deployment", f"{BOX}/lifecycle/preStop/sleep/seconds", 16),
        ("grace", "Deployment", f"{BOX}/lifecycle", GONE),
        ("grace", "ConfigMap", "data/TAXIWAY_SHUTDOWN_BUDGET_S", "46"),
        ("spread", "Deployment", f"{POD}/topologySpreadConstraints/0/matchLabelKeys", GONE),
        ("spread", "Deployment", f"{POD}/topologySpreadConstraints", GONE),
        ("spread", "Deployment", "spec/strategy/rollingUpdate/maxUnavailable", 1),
        ("disruption", "PodDisruptionBudget", "spec/selector/matchLabels", {"app": "another"}),
        ("disruption", "PodDisruptionBudget", "spec/minAvailable", 1),
        ("disruption", "PodDisruptionBudget", "spec/unhealthyPodEvictionPolicy", GONE),
        ("scaling", "Deployment", "spec/replicas", 2),
        ("scaling", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name", "another"),
        ("secrets", "ConfigMap", "data/TAXIWAY_MASTER_KEY", "sk-1"),
        ("secrets", "ConfigMap", "data/TAXIWAY_DATABASE_URL", "postgresql://a:b@c/d"),
        ("secrets", "Deployment", f"{POD}/volumes/1/secret/defaultMode", 0o444),
        ("configuration", "ConfigMap", "metadata/name", "taxiway"),
        ("configuration", "Deployment", f"{BOX}/envFrom/0/configMapRef/name", "taxiway-0000000000"),
        ("images", "Deployment", f"{BOX}/image", "taxiway:latest"),
        ("images", "Deployment", f"{BOX}/image", "taxiway"),
        ("images", "Job", f"{BOX}/image", "taxiway:0.0.9"),
        ("selectors", "Service", "spec/selector", {"app.kubernetes.io/name": "taxiway"}),
        ("selectors", "Service", "spec/ports/0/targetPort", "web"),
        ("selectors", "Deployment", "spec/selector/matchLabels/app.kubernetes.io|version", "0.1.0"),
        ("network", "NetworkPolicy", "spec/policyTypes", ["Ingress"]),
        ("network", "NetworkPolicy", "spec/ingress/1/from/0", {"namespaceSelector": {}}),
        ("network", "NetworkPolicy", "spec/ingress/0/ports", GONE),
        ("network", "NetworkPolicy", "spec/egress/0/to", GONE),
        ("network", "NetworkPolicy", "spec/egress/1/to/0/ipBlock/except/0", "10.0.0.0/16"),
        ("edges", "HTTPRoute", "spec/rules/1/retry", {"attempts": 2}),
        ("edges", "HTTPRoute", "spec/rules/2/backendRefs/0/port", 9090),
        ("edges", "Ingress", "spec/rules/0/http/paths/0/backend/service/port", {"name": "metrics"}),
        ("edges", "BackendTrafficPolicy", "spec/retry", {"numRetries": 2}),
        ("jobs", "Job", "spec/activeDeadlineSeconds", GONE),
        ("jobs", "Job", f"{POD}/restartPolicy", "OnFailure"),
        ("one_writer", "StatefulSet", "spec/replicas", 2),
        (
            "one_writer",
            "StatefulSet",
            "spec/persistentVolumeClaimRetentionPolicy/whenDeleted",
            "Delete",
        ),
        (
            "one_writer",
            "StatefulSet",
            "spec/volumeClaimTemplates/0/spec/accessModes",
            ["ReadWriteMany"],
        ),
        (
            "one_writer",
            "StatefulSet",
            "spec/volumeClaimTemplates/0/metadata/labels/app.kubernetes.io|version",
            "0.1.0",
        ),
    ],
)
def test_a_changed_field_is_noticed(
    installation: list[Any], sqlite: list[Any], policy: str, kind: str, path: str, value: object
) -> None:
    """Each policy is broken by a change of the very field it is about, and by no other one's."""
    objects = sqlite if kind == "StatefulSet" else installation
    assert [] == violations(objects)
    holder, key = at(the(objects, kind), path)
    if value is GONE:
        del holder[key]
    elif isinstance(holder, list):
        holder[key] = value
    else:
        holder.update({key: value})

    assert {policy} == {each.partition(":")[0] for each in violations(objects)}
