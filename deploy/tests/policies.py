"""What must hold for every rendering, and for the overlay that you make of it.

    kubectl kustomize my-overlay | python deploy/tests/policies.py     (or with the names of files)

prints what does not, one line each, and exits 1 if there is any. A rule is a function from all objects of a
rendering to sentences; `POLICIES` lists them. tests/test_deployment.py breaks each of them once.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from taxiway.settings import Settings

Objects = Sequence[Mapping[str, Any]]
Policy = Callable[[Objects], Iterator[str]]

#: What a process may still take after its budget: handlers, submissions under way, connections, the log.
LETTING_GO_S = 5

#: Where no request that leaves the cluster has any business: private, shared, link-local.
NOT_THE_INTERNET = frozenset(
    [
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"),
        *("fc00::/7", "fe80::/10"),
    ]
)

#: Ten times as fast, where libyaml is there.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_DIGEST = re.compile(r".+-[0-9a-z]{10}")
_IMAGE = re.compile(r"[^:@]+(:[0-9][\w.-]*|(:[\w.-]+)?@sha256:[0-9a-f]{64})")
_SECRET = re.compile(r"KEY|SECRET|PASSWORD|TOKEN|DATABASE_URL")


def of_kind(objects: Objects, *kinds: str) -> list[Mapping[str, Any]]:
    """Return the objects of some kinds."""
    return [each for each in objects if each["kind"] in kinds]


def pods(objects: Objects) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each pod template with the name of its owner."""
    for owner in of_kind(objects, "Deployment", "StatefulSet", "Job"):
        yield f"{owner['kind']}/{owner['metadata']['name']}", owner["spec"]["template"]


def environment(objects: Objects, pod: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of a pod's first container, those of its ConfigMaps included."""
    data = {each["metadata"]["name"]: each["data"] for each in of_kind(objects, "ConfigMap")}
    container = pod["spec"]["containers"][0]
    found: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        found |= data.get(source["configMapRef"]["name"], {})
    return found | {each["name"]: each.get("value", "") for each in container.get("env", ())}


def restricted(objects: Objects) -> Iterator[str]:
    """Every pod fits the restricted profile, with a numeric user and a root that cannot be written."""
    for name, pod in pods(objects):
        spec = pod["spec"]
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            if spec.get(key):
                yield f"{name} sets {key}"
        yield from _differences(
            f"{name} securityContext",
            spec["securityContext"],
            _POD_SECURITY,
            also=("supplementalGroups",),
        )
        for container in _containers(pod):
            place = f"{name} {container['name']}"
            yield from _differences(
                f"{place} securityContext", container["securityContext"], _CONTAINER_SECURITY
            )
            if any("hostPort" in port for port in container.get("ports", ())):
                yield f"{place} takes a port of the node"
        for volume in spec.get("volumes", ()):
            if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
                yield f"{name} has a folder without a limit, {volume['name']}"
            if not volume.keys() & {"emptyDir", "secret", "configMap"}:
                yield f"{name} mounts more than settings, secrets and scratch space, {volume['name']}"


_POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "runAsGroup": 10001,
    "fsGroup": 10001,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}
_CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def without_the_api_server(objects: Objects) -> Iterator[str]:
    """No pod gets a token, or the variables of other Services."""
    for account in of_kind(objects, "ServiceAccount"):
        if account.get("automountServiceAccountToken") is not False:
            yield f"ServiceAccount/{account['metadata']['name']} mounts its token"
    accounts = {each["metadata"]["name"] for each in of_kind(objects, "ServiceAccount")}
    for name, pod in pods(objects):
        spec = pod["spec"]
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{name} mounts a token"
        if spec.get("enableServiceLinks") is not False:
            yield f"{name} is given the variables of every Service"
        if spec.get("serviceAccountName") not in accounts:
            yield f"{name} runs under an account that is not rendered"


def resources(objects: Objects) -> Iterator[str]:
    """Every container asks for what it needs and is limited in memory and disk, but not in CPU."""
    for name, pod in pods(objects):
        for container in _containers(pod):
            given = container.get("resources", {})
            if {"cpu", "memory", "ephemeral-storage"} != given.get("requests", {}).keys():
                yield f"{name} does not request cpu, memory and ephemeral-storage"
            if {"memory", "ephemeral-storage"} != given.get("limits", {}).keys():
                yield f"{name} is not limited in memory and ephemeral-storage alone"


def probes(objects: Objects) -> Iterator[str]:
    """Three probes on named ports; liveness asks the loop alone, readiness whether work may come."""
    wanted = {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    for name, pod in _servers(objects):
        container = pod["spec"]["containers"][0]
        ports = {each["name"] for each in container["ports"]}
        for probe, path in wanted.items():
            asked = container.get(probe, {}).get("httpGet", {})
            if asked.get("path") != path or asked.get("port") not in ports:
                yield f"{name} {probe} does not ask {path} on a named port"


def grace(objects: Objects) -> Iterator[str]:
    """Pods are given the time their way out can take."""
    for name, pod in _servers(objects):
        spec = pod["spec"]
        hooks = spec["containers"][0].get("lifecycle", {})
        sleep_s = hooks.get("preStop", {}).get("sleep", {}).get("seconds", 0)
        variables = environment(objects, pod)
        budget_s = float(variables.get("TAXIWAY_SHUTDOWN_BUDGET_S", Settings().shutdown_budget_s))
        needed_s = sleep_s + budget_s + LETTING_GO_S
        given_s = spec.get("terminationGracePeriodSeconds", 30)
        if sleep_s < LETTING_GO_S:
            yield f"{name} stops before the load balancers know"
        if given_s < needed_s:
            yield f"{name} has {given_s} s to leave and may need {needed_s:g} s"


def spread(objects: Objects) -> Iterator[str]:
    """Replicas of one version are spread over zones and nodes, and replaced one by one, the new one first."""
    for owner in of_kind(objects, "Deployment"):
        spec = owner["spec"]
        rules = {
            each["topologyKey"]: each
            for each in spec["template"]["spec"].get("topologySpreadConstraints", ())
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname"):
            rule = rules.get(key, {})
            if (
                rule.get("matchLabelKeys") != ["pod-template-hash"]
                or rule.get("whenUnsatisfiable") != "ScheduleAnyway"
            ):
                yield f"Deployment/{owner['metadata']['name']} is not spread by {key}"
        if spec.get("strategy", {}).get("rollingUpdate") != {"maxSurge": 1, "maxUnavailable": 0}:
            yield f"Deployment/{owner['metadata']['name']} takes a pod away before its successor is ready"


def disruption(objects: Objects) -> Iterator[str]:
    """Budgets stand where replicas can cover for each other, and nowhere else."""
    budgets = of_kind(objects, "PodDisruptionBudget")
    if of_kind(objects, "StatefulSet") and budgets:
        yield "a budget on one writer blocks every drain of its node"
    for owner in of_kind(objects, "Deployment"):
        labels = owner["spec"]["template"]["metadata"]["labels"]
        fitting = [each for each in budgets if _selects(each["spec"]["selector"], labels)]
        if owner["spec"].get("replicas", 2) > 1 and not fitting:
            yield f"Deployment/{owner['metadata']['name']} has no budget"
        for budget in fitting:
            if budget["spec"].get("maxUnavailable") != 1 or "minAvailable" in budget["spec"]:
                yield "a budget by minAvailable can block a drain for ever"
            if budget["spec"].get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
                yield "a budget protects pods that do not work"


def scaling(objects: Objects) -> Iterator[str]:
    """Where something scales a workload, its manifest names no number; where nothing does, it names one."""
    scaled = {
        each["spec"]["scaleTargetRef"]["name"]
        for each in of_kind(objects, "HorizontalPodAutoscaler", "ScaledObject")
    }
    for owner in of_kind(objects, "Deployment", "StatefulSet"):
        name = owner["metadata"]["name"]
        if (name in scaled) == ("replicas" in owner["spec"]):
            yield f"{owner['kind']}/{name}: replicas and autoscaler exclude each other"
        if name in scaled and owner["kind"] == "StatefulSet":
            yield f"StatefulSet/{name} is scaled, and has one writer"


def one_writer(objects: Objects) -> Iterator[str]:
    """SQLite has one replica on a volume that one pod may mount and nobody deletes."""
    for owner in of_kind(objects, "StatefulSet"):
        spec = owner["spec"]
        if spec.get("replicas") != 1:
            yield "SQLite has exactly one writer"
        if spec.get("persistentVolumeClaimRetentionPolicy") != {
            "whenDeleted": "Retain",
            "whenScaled": "Retain",
        }:
            yield "the volume goes with its owner"
        for claim in spec["volumeClaimTemplates"]:
            if claim["spec"]["accessModes"] != ["ReadWriteOncePod"]:
                yield "the volume can be mounted twice"
            if "app.kubernetes.io/version" in claim["metadata"].get("labels", {}):
                yield "the claim changes with the version, and is immutable"


def secrets(objects: Objects) -> Iterator[str]:
    """Secrets are named and mounted, never written down."""
    if of_kind(objects, "Secret"):
        yield "a Secret is rendered"
    for name, pod in pods(objects):
        for variable, value in environment(objects, pod).items():
            if (
                _SECRET.search(variable)
                and not variable.endswith("_FILE")
                and not value.startswith("sqlite")
            ):
                yield f"{name} has {variable} in its environment"
        for volume in pod["spec"].get("volumes", ()):
            if "secret" in volume and volume["secret"].get("defaultMode") != 0o440:
                yield f"{name} lets everybody read the secret {volume['name']}"


def configuration(objects: Objects) -> Iterator[str]:
    """Every ConfigMap that a pod uses is rendered, under a name that changes with its content."""
    known = {each["metadata"]["name"] for each in of_kind(objects, "ConfigMap")}
    for name, pod in pods(objects):
        used = {
            source["configMapRef"]["name"]
            for container in _containers(pod)
            for source in container.get("envFrom", ())
        }
        used |= {v["configMap"]["name"] for v in pod["spec"].get("volumes", ()) if "configMap" in v}
        for each in sorted(used):
            if each not in known or not _DIGEST.fullmatch(each):
                yield f"{name} uses {each}, whose name does not change with its content"


def images(objects: Objects) -> Iterator[str]:
    """All pods run one image, named by a version or a digest."""
    used = {container["image"] for _, pod in pods(objects) for container in _containers(pod)}
    if len(used) != 1:
        yield f"there are {len(used)} images: {sorted(used)}"
    for image in used:
        if not _IMAGE.fullmatch(image):
            yield f"{image} names neither a version nor a digest"


def selectors(objects: Objects) -> Iterator[str]:
    """Services send to server pods and to no other, on ports that these have; selectors hold no version."""
    for service in of_kind(objects, "Service"):
        for name, pod in pods(objects):
            chosen = _selects(
                {"matchLabels": service["spec"]["selector"]}, pod["metadata"]["labels"]
            )
            if chosen != (not name.startswith("Job/")):
                yield f"Service/{service['metadata']['name']} and {name} do not fit"
        for _, pod in _servers(objects):
            ports = {each["name"] for each in pod["spec"]["containers"][0]["ports"]}
            if not {each["targetPort"] for each in service["spec"]["ports"]} <= ports:
                yield f"Service/{service['metadata']['name']} names a port that no pod has"
    for owner in of_kind(objects, "Deployment", "StatefulSet"):
        labels = owner["spec"]["selector"]["matchLabels"]
        if "app.kubernetes.io/version" in labels:
            yield f"{owner['kind']}/{owner['metadata']['name']} selects by version, which changes"
        if not labels.items() <= owner["spec"]["template"]["metadata"]["labels"].items():
            yield f"{owner['kind']}/{owner['metadata']['name']} does not select its own pods"


def network(objects: Objects) -> Iterator[str]:
    """Every pod is closed both ways, metrics are for monitoring alone, and the way out is to the internet only."""
    policies = of_kind(objects, "NetworkPolicy")
    for name, pod in pods(objects):
        fitting = [
            p for p in policies if _selects(p["spec"]["podSelector"], pod["metadata"]["labels"])
        ]
        if not any(set(p["spec"]["policyTypes"]) == {"Ingress", "Egress"} for p in fitting):
            yield f"{name} is open to everybody"
    for policy in policies:
        for rule in policy["spec"]["ingress"]:
            ports = {each["port"] for each in rule.get("ports", ())}
            if not ports or not rule.get("from"):
                yield "a way in is open to everybody, or on every port"
            if "metrics" in ports and rule.get("from") != [_MONITORING]:
                yield "the metrics are open to more than monitoring"
        for rule in policy["spec"]["egress"]:
            if not rule.get("to") or not rule.get("ports"):
                yield "a way out is open to everywhere, or on every port"
        blocks = [
            b["ipBlock"]
            for r in policy["spec"]["egress"]
            for b in r.get("to", ())
            if "ipBlock" in b
        ]
        wide = [b for b in blocks if b["cidr"] in ("0.0.0.0/0", "::/0")]
        if {cidr for b in wide for cidr in b.get("except", ())} != NOT_THE_INTERNET:
            yield "the way to the internet is also one into the cluster"


_MONITORING = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}


def edges(objects: Objects) -> Iterator[str]:
    """Routes lead to the port `http` only, and repeat no request."""
    for ingress in of_kind(objects, "Ingress"):
        paths = [path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]
        if any(path["backend"]["service"]["port"] != {"name": "http"} for path in paths):
            yield f"Ingress/{ingress['metadata']['name']} leads elsewhere than to the port http"
    rules = [rule for route in of_kind(objects, "HTTPRoute") for rule in route["spec"]["rules"]]
    if any(ref["port"] != 4000 for rule in rules for ref in rule["backendRefs"]):
        yield "the route leads elsewhere than to the port http"
    policies = [each["spec"] for each in of_kind(objects, "BackendTrafficPolicy")]
    if any("retry" in each for each in (*rules, *policies)):
        yield "the edge repeats requests, and a repeated POST buys an image twice"


def jobs(objects: Objects) -> Iterator[str]:
    """Jobs end by themselves, and are cleared away."""
    for job in of_kind(objects, "Job"):
        if (
            not {"backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"}
            <= job["spec"].keys()
        ):
            yield f"Job/{job['metadata']['name']} can go on for ever"
        if job["spec"]["template"]["spec"].get("restartPolicy") != "Never":
            yield f"Job/{job['metadata']['name']} restarts in place, which hides its log"


POLICIES: tuple[Policy, ...] = (
    restricted,
    without_the_api_server,
    resources,
    probes,
    grace,
    spread,
    disruption,
    scaling,
    one_writer,
    secrets,
    configuration,
    images,
    selectors,
    network,
    edges,
    jobs,
)


def violations(objects: Objects) -> list[str]:
    """Return what does not hold, as `policy: sentence`."""
    return [f"{policy.__name__}: {sentence}" for policy in POLICIES for sentence in policy(objects)]


def _servers(objects: Objects) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return ((name, pod) for name, pod in pods(objects) if not name.startswith("Job/"))


def _containers(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    return selector.get("matchLabels", {}).items() <= labels.items()


def _differences(
    place: str, actual: Mapping[str, Any], wanted: Mapping[str, Any], *, also: tuple[str, ...] = ()
) -> Iterator[str]:
    for key, value in wanted.items():
        if actual.get(key) != value:
            yield f"{place}.{key} is {actual.get(key)}, not {value}"
    for key in actual.keys() - wanted.keys() - set(also):
        yield f"{place}.{key} is more than was agreed"


def main() -> int:
    """Judge the renderings that are named, or the one on standard input."""
    texts = {name: Path(name).read_text() for name in sys.argv[1:]} or {"": sys.stdin.read()}
    found = [
        f"{name and Path(name).stem + ': '}{violation}\n"
        for name, text in texts.items()
        for violation in violations([each for each in yaml.load_all(text, Loader=_LOADER) if each])
    ]
    sys.stdout.write("".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
