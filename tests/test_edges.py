"""The ways into a cluster, as `deploy/` sets them, against the routes and times of the service.

`test_proxies.py` tries three of them.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from taxiway.server import create_app
from taxiway.server.running import KEEPALIVE_S
from taxiway.settings import Settings

DEPLOY = Path(__file__).parents[1] / "deploy"


def component(name: str, file: str) -> Any:
    """Return an object of a component, as it is written."""
    return yaml.safe_load((DEPLOY / "components" / name / file).read_text())


def seconds(text: str) -> float:
    """Return a duration such as `660s` or `660`."""
    return float(text.removesuffix("s"))


def route_times(path: str) -> tuple[str, str]:
    """Return how long the HTTPRoute and Envoy's file let a path take: the longest prefix counts."""
    route = component("gateway-api", "httproute.yaml")["spec"]["rules"]
    by_prefix = {
        match["path"]["value"]: rule["timeouts"]["request"]
        for rule in route
        for match in rule["matches"]
    }
    listener = yaml.safe_load((DEPLOY / "edges" / "envoy.yaml").read_text())["static_resources"][
        "listeners"
    ][0]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    envoy = {
        next(iter(each["match"].values())): each["route"]["timeout"]
        for each in manager["route_config"]["virtual_hosts"][0]["routes"]
    }
    return tuple(
        times[max((p for p in times if f"{path}/".startswith(f"{p.rstrip('/')}/")), key=len)]
        for times in (by_prefix, envoy)
    )  # type: ignore[return-value] # two of them


def test_the_edge_lets_every_route_take_its_time() -> None:
    """Streams may last, callers may wait for their image, and all else is bounded: by the service's own routes."""
    app = create_app(Settings(metrics_port=9090))
    long = {"0s": 0, "660s": 0, "30s": 0}
    for route in app.router.routes():
        if route.resource is None:
            continue
        path = route.resource.canonical.replace("{id}", "job_1").replace("{model}", "gen4_image")
        if path.endswith("/events"):
            wanted = "0s"
        elif path.endswith(("/generations", "/edits")):
            wanted = "660s"
        else:
            continue
        long[wanted] += 1

        assert (wanted, wanted) == route_times(path), path
    assert ("30s", "30s") == route_times("/v1/models")
    assert long["0s"]
    assert long["660s"]


def test_no_route_leads_to_the_metrics() -> None:
    """With a port of their own, which the manifests give them, the metrics are not on the one that is routed."""
    app = create_app(Settings(metrics_port=9090))

    assert "/metrics" not in {resource.canonical for resource in app.router.resources()}


def test_every_edge_waits_longer_than_a_job_may_take() -> None:
    """Each limit on silence is above the deadline of a job, and each idle connection is given up before we do."""
    ingress = component("ingress", "ingress.yaml")["metadata"]["annotations"]
    alb = component("alb", "ingress.yaml")["metadata"]["annotations"]
    policy = component("gateway-api", "envoy-gateway/backendtrafficpolicy.yaml")["spec"]["timeout"][
        "http"
    ]
    nginx = dict(
        re.findall(
            r"^ +(\w+) ([\d.]+)s;", (DEPLOY / "edges" / "nginx.conf").read_text(), re.MULTILINE
        )
    )
    balancer = seconds(alb["alb.ingress.kubernetes.io/load-balancer-attributes"].partition("=")[2])
    silence = [
        seconds(nginx["proxy_read_timeout"]),
        seconds(ingress["nginx.org/proxy-read-timeout"]),
        seconds(ingress["nginx.ingress.kubernetes.io/proxy-read-timeout"]),
        seconds(ingress["haproxy.org/timeout-server"]),
        seconds(policy["streamIdleTimeout"]),
        balancer,
    ]
    idle = [seconds(nginx["keepalive_timeout"]), seconds(policy["connectionIdleTimeout"]), balancer]
    heartbeat_s = Settings().sse_heartbeat_s

    assert all(each > Settings().job_timeout_s for each in silence), silence
    assert all(each < KEEPALIVE_S for each in idle), idle
    assert heartbeat_s < 60 / 2


def test_the_load_balancer_lets_go_after_the_pod() -> None:
    """The balancer waits for the connections of a leaving pod for as long as the pod keeps them."""
    attributes = component("alb", "ingress.yaml")["metadata"]["annotations"]
    delay = attributes["alb.ingress.kubernetes.io/target-group-attributes"].partition("=")[2]
    lines = (DEPLOY / "base" / "config.env").read_text().splitlines()
    [budget] = [
        each.partition("=")[2] for each in lines if each.startswith("TAXIWAY_SHUTDOWN_BUDGET_S=")
    ]

    assert float(delay) > float(budget)
