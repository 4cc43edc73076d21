"""What `deploy/` tells the service, against what the service understands, by starting it as a pod does."""

import re
import runpy
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.ports import free_port

from taxiway.config import load_settings
from taxiway.config.knobs import KNOBS
from taxiway.config.words import Verdict

pytestmark = pytest.mark.looptime(False)

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
SCRIPTS = Path(sys.executable).parent

render = runpy.run_path(str(DEPLOY / "tests" / "render.py"))
policies = runpy.run_path(str(DEPLOY / "tests" / "policies.py"))

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
MASTER_KEY = "of-the-deployment-tests"

#: What the Secret of an installation holds.
SECRETS = {
    "master-key": MASTER_KEY,
    "runway-api-secret": "key_of_the_deployment_tests",
    "database-url": "postgresql+asyncpg://taxiway:password@postgres:5432/taxiway",
}


def rendered(*path: str) -> list[Any]:
    """Return the objects of one folder of `deploy/`."""
    text = render["render"](DEPLOY.joinpath(*path), kubectl=str(SCRIPTS / "kubectl"))
    return list(yaml.safe_load_all(text))


@pytest.fixture(scope="module")
def overlays() -> dict[str, list[Any]]:
    """What people install."""
    return {
        "sqlite": rendered("overlays", "sqlite"),
        "postgres": rendered("overlays", "postgres"),
        "production": rendered("examples", "production"),
    }


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The folder where a pod finds its secrets."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name, text in SECRETS.items():
        (folder / name).write_text(text)
    return folder


def component(name: str, file: str) -> Any:
    """Return an object of a component, as it is written."""
    return yaml.safe_load((DEPLOY / "components" / name / file).read_text())


def server(objects: list[Any]) -> dict[str, Any]:
    """Return the pod that serves."""
    [(_, pod)] = policies["pods"](objects)
    return dict(pod)


def settings_in(text: str) -> dict[str, str]:
    """Return the variables of an env file, those behind a `#` included."""
    return dict(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=(.*)$", text, flags=re.MULTILINE))


def plain(names: set[str]) -> set[str]:
    """Return variables by what they set, whether as a text or as a file."""
    return {name.removesuffix("_FILE") for name in names}


def test_every_setting_is_in_the_env_file() -> None:
    """`base/config.env` and the overlays name each setting that the service knows, and none that it does not."""
    known = {f"TAXIWAY_{name.upper()}" for name, word in KNOBS if word.verdict is Verdict.HONOURED}
    files = [DEPLOY / "base" / "config.env", *DEPLOY.glob("overlays/*/config.env")]
    named = {name for file in files for name in settings_in(file.read_text())}

    assert known == {name for name in plain(named) if name.startswith("TAXIWAY_")}


def test_what_is_behind_a_hash_is_the_default() -> None:
    """A default that is written down in `base/config.env` is the service's own."""
    lines = (DEPLOY / "base" / "config.env").read_text().splitlines()
    hidden = settings_in("\n".join(line for line in lines if line.startswith("# ")))
    key = {"RUNWAYML_API_SECRET": "key_of_the_deployment_tests"}

    assert (
        load_settings(path=None, environ=key).settings
        == load_settings(path=None, environ={**hidden, **key}).settings
    )


def pod_environment(objects: list[Any], *, secrets: Path) -> dict[str, str]:
    """Return what the serving pod is told, with its secrets where this test has put them."""
    variables = policies["environment"](objects, server(objects))
    return {
        name: text.replace("/run/secrets/taxiway", str(secrets)) for name, text in variables.items()
    }


@pytest.mark.parametrize("overlay", ["sqlite", "postgres", "production"])
def test_a_pod_is_told_what_it_understands(
    overlays: dict[str, list[Any]], overlay: str, secrets: Path, tmp_path: Path
) -> None:
    """The service accepts the variables and files of each overlay without a warning, and listens as ports say."""
    objects = overlays[overlay]
    container = server(objects)["spec"]["containers"][0]
    config = config_file(objects, folder=tmp_path) if "--config" in container["args"] else None
    loaded = load_settings(path=config, environ=pod_environment(objects, secrets=secrets))
    settings = loaded.settings
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    # Where images are kept is the operator's choice; the warning says that nothing was chosen.
    assert {"artifacts_url"} >= {finding.key for finding in loaded.findings}
    assert {"http": settings.port, "metrics": settings.metrics_port} == ports
    assert ("0.0.0.0", 40.0) == (settings.host, settings.shutdown_budget_s)
    assert settings.database_url.startswith("sqlite" if overlay == "sqlite" else "postgresql")


def config_file(objects: list[Any], *, folder: Path) -> Path:
    """Write the config.yaml of an overlay into a folder."""
    [data] = [
        each["data"]
        for each in policies["of_kind"](objects, "ConfigMap")
        if "config.yaml" in each["data"]
    ]
    file = folder / "config.yaml"
    file.write_text(data["config.yaml"])
    return file


def test_everything_bears_the_package_version(overlays: dict[str, list[Any]]) -> None:
    """Image tags, labels, the migration's name, the Dockerfile and compose.yaml say the package's version."""
    pod = server(overlays["postgres"])
    job = component("migrate-job", "job.yaml")
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    said = {
        pod["spec"]["containers"][0]["image"],
        job["spec"]["template"]["spec"]["containers"][0]["image"],
        compose["taxiway"]["image"],
        compose["runway"]["image"],
        f"taxiway:{pod['metadata']['labels']['app.kubernetes.io/version']}",
        f"taxiway:{job['metadata']['labels']['app.kubernetes.io/version']}",
        "taxiway:" + job["metadata"]["name"].removeprefix("taxiway-migrate-").replace("-", "."),
        *(
            f"taxiway:{v}"
            for v in re.findall(r"ARG VERSION=(\S+)", (DEPLOY / "Dockerfile").read_text())
        ),
    }

    assert {f"taxiway:{VERSION}"} == said


@contextmanager
def pod_running(
    objects: list[Any], *, secrets: Path, data: Path, log: Path
) -> Iterator[tuple[dict[str, int], subprocess.Popen[bytes]]]:
    """Run the pod's command with the pod's variables; yields its ports by name when its start is over.

    Only what a machine cannot share is different: the ports, and where secrets and data are.
    """
    container = server(objects)["spec"]["containers"][0]
    http, metrics = free_port(), free_port()
    variables = pod_environment(objects, secrets=secrets)
    environ = {
        **{name: text.replace("/var/lib/taxiway", str(data)) for name, text in variables.items()},
        "TAXIWAY_PORT": str(http),
        "TAXIWAY_METRICS_PORT": str(metrics),
        "TAXIWAY_HOST": "127.0.0.1",
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "taxiway", *container["args"]],
            env=environ,
            cwd=data,
            stdout=out,
            stderr=out,
        )
    try:
        ports = {"http": http, "metrics": metrics}
        probe = container["startupProbe"]
        for _ in range(int(probe["failureThreshold"] * probe["periodSeconds"] / 0.05)):
            assert process.poll() is None, log.read_text()
            if answers(ports, probe):
                break
            time.sleep(0.05)
        yield ports, process
    finally:
        process.kill()
        process.wait()


def answers(ports: Mapping[str, int], probe: Mapping[str, Any]) -> bool:
    """Return whether a probe succeeds."""
    asked = probe["httpGet"]
    try:
        url = f"http://127.0.0.1:{ports[asked['port']]}{asked['path']}"
        with urllib.request.urlopen(url, timeout=probe["timeoutSeconds"]) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_a_pod_starts_answers_its_probes_and_leaves(
    overlays: dict[str, list[Any]], secrets: Path, tmp_path: Path
) -> None:
    """The command and variables of the SQLite pod make a service that is ready, measured, and gone at SIGTERM."""
    objects = overlays["sqlite"]
    container = server(objects)["spec"]["containers"][0]
    log = tmp_path / "log"
    with pod_running(objects, secrets=secrets, data=tmp_path, log=log) as (ports, process):
        probed = {
            kind: answers(ports, container[kind]) for kind in ("livenessProbe", "readinessProbe")
        }
        with urllib.request.urlopen(f"http://127.0.0.1:{ports['metrics']}/metrics") as answer:
            scraped = b"taxiway_build_info" in answer.read()
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)

    assert {"livenessProbe": True, "readinessProbe": True} == probed
    assert scraped
    assert 0 == code, log.read_text()
    assert (tmp_path / "taxiway.db").exists()


def test_pods_that_start_at_once_share_a_new_database(
    overlays: dict[str, list[Any]], secrets: Path, tmp_path: Path, postgres_server: Any
) -> None:
    """Two pods of the PostgreSQL overlay on an empty database: one of them migrates it, both become ready."""
    objects = overlays["postgres"]
    name = postgres_server.create()
    (secrets / "database-url").write_text(postgres_server.url(name))
    probe = server(objects)["spec"]["containers"][0]["readinessProbe"]
    with ThreadPoolExecutor(2) as threads, ExitStack() as pods:
        started = threads.map(
            lambda log: pods.enter_context(
                pod_running(objects, secrets=secrets, data=tmp_path, log=tmp_path / log)
            ),
            ("first", "second"),
        )
        ready = [answers(ports, probe) for ports, _ in started]
    postgres_server.drop(name)
    migrated = [(tmp_path / log).read_text().count("store.migrated") for log in ("first", "second")]

    assert [True, True] == ready
    assert 1 == sum(migrated)


def test_the_migration_runs_by_its_own_account(secrets: Path, tmp_path: Path) -> None:
    """The Job's command and only variable bring a database to the current schema, without any other key."""
    container = component("migrate-job", "job.yaml")["spec"]["template"]["spec"]["containers"][0]
    (secrets / "migration-database-url").write_text(f"sqlite:///{tmp_path}/migrated.db")
    environ = {
        each["name"]: each["value"].replace("/run/secrets/taxiway", str(secrets))
        for each in container["env"]
    }
    done = subprocess.run(
        [sys.executable, "-m", "taxiway", *container["args"]],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )

    assert (0, b"") == (done.returncode, done.stderr)
    assert (tmp_path / "migrated.db").exists()


def commands(heading: str) -> list[list[str]]:
    """Return the commands under a heading of README.md, as words."""
    section = (
        (DEPLOY / "README.md").read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    )
    block = section.partition("```sh\n")[2].partition("```")[0].replace("\\\n", "")
    return [
        shlex.split(line, comments=True) for line in block.splitlines() if line and line[0] != "#"
    ]


def test_a_backup_is_a_database_that_a_service_starts_from(
    overlays: dict[str, list[Any]], secrets: Path, tmp_path: Path
) -> None:
    """The backup command of README.md, given to a running pod, makes a copy; a new pod starts from it."""
    objects = overlays["sqlite"]
    [exec_, *_] = (words for words in commands("Backup and restore") if "exec" in words)
    [program, *arguments] = exec_[exec_.index("--") + 1 :]
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with pod_running(objects, secrets=secrets, data=first, log=tmp_path / "first.log"):
        arguments = [each.replace("/var/lib/taxiway", str(first)) for each in arguments]
        subprocess.run([sys.executable, *arguments], check=True)
    (first / "backup.db").rename(second / "taxiway.db")
    with sqlite3.connect(second / "taxiway.db") as copy:
        tables = {
            name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
    copy.close()
    with pod_running(objects, secrets=secrets, data=second, log=tmp_path / "second.log") as (
        ports,
        _,
    ):
        ready = answers(ports, server(objects)["spec"]["containers"][0]["readinessProbe"])

    assert "/app/bin/python" == program
    assert "jobs" in tables
    assert ready


def test_the_page_names_every_component_and_file() -> None:
    """README.md lists each component and each overlay, and every path it mentions is there."""
    page = (DEPLOY / "README.md").read_text()
    parts = {
        path.parent.relative_to(DEPLOY / "components").as_posix()
        for path in (DEPLOY / "components").rglob("kustomization.yaml")
    }
    links = re.findall(r"\]\(([^)#:]+)\)", page)

    assert set() == {part for part in parts if f"`{part}`" not in page}
    assert [] == [link for link in links if not (DEPLOY / link).exists()]
