"""Renders the manifests: every overlay, alone and with the components that go with it.

    python deploy/tests/render.py FOLDER [--kubectl PATH] [--product]

writes one file per combination. Without `--product` these are the overlays, each with each component, each with
all that go together, and the examples; with it, everything that can be combined.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

DEPLOY = Path(__file__).resolve().parents[1]

#: Every overlay has it already.
BUILT_IN = "workload"

#: Of each of these an installation has one at most.
CHOICES = (("gateway-api", "ingress", "alb"), ("hpa", "keda"))

#: What has no use on one writer and one volume.
POSTGRES_ONLY = frozenset({"hpa", "keda", "migrate-job"})

OVERLAYS = ("sqlite", "postgres")


def components() -> list[str]:
    """Return every component there is. One inside another, as `hpa/streams`, adds to it."""
    found = (DEPLOY / "components").rglob("kustomization.yaml")
    names = sorted(path.parent.relative_to(DEPLOY / "components").as_posix() for path in found)
    return [name for name in names if name != BUILT_IN]


def stacks(overlay: str, *, everything: bool) -> Iterator[tuple[str, ...]]:
    """Yield the lists of components to render with an overlay, the empty one first."""
    usable = [c for c in components() if overlay == "postgres" or _root(c) not in POSTGRES_ONLY]
    switches = [_ladders(choice, usable) for choice in CHOICES]
    chosen = {name for choice in CHOICES for name in choice}
    switches += [
        _ladders((name,), usable) for name in usable if "/" not in name and name not in chosen
    ]
    if everything:
        for picked in product(*switches):
            yield tuple(name for ladder in picked for name in ladder)
        return
    yield ()
    for switch in switches:
        yield from (ladder for ladder in switch if ladder)
    yield tuple(name for switch in switches for name in switch[-1])


def render(folder: Path, *, kubectl: str) -> str:
    """Return what `kubectl kustomize` makes of a folder. Raises `RuntimeError` with what it says instead."""
    done = subprocess.run(  # noqa: S603 - a program of ours, with arguments of ours
        [kubectl, "kustomize", str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode or done.stderr:
        raise RuntimeError(f"{folder.name}: {done.stderr.strip()}")
    return done.stdout


def render_all(out: Path, *, kubectl: str, everything: bool = False) -> list[Path]:
    """Write one file per combination and return them."""
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as scratch, ThreadPoolExecutor(os.cpu_count()) as threads:
        folders = [
            _combination(Path(scratch).resolve(), overlay, stack)
            for overlay in OVERLAYS
            for stack in stacks(overlay, everything=everything)
        ]
        folders += [path.parent for path in (DEPLOY / "examples").rglob("kustomization.yaml")]
        texts = threads.map(lambda folder: render(folder, kubectl=kubectl), folders)
        files = []
        for folder, text in zip(folders, texts, strict=True):
            files.append(out / f"{folder.name}.yaml")
            files[-1].write_text(text)
    return files


def _combination(scratch: Path, overlay: str, stack: tuple[str, ...]) -> Path:
    """Write the kustomization that a user would write, and return its folder."""
    folder = scratch / "+".join((overlay, *(name.replace("/", ".") for name in stack)))
    folder.mkdir()
    here = os.path.relpath(DEPLOY, folder)
    document = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"{here}/overlays/{overlay}"],
        "components": [f"{here}/components/{name}" for name in stack],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(document))
    return folder


def _ladders(names: tuple[str, ...], usable: list[str]) -> list[tuple[str, ...]]:
    """Return the ways to use one of some components: not at all, each alone, and each with what adds to it."""
    ways: list[tuple[str, ...]] = [()]
    for name in names:
        if name in usable:
            ways.append((name,))
            ways += [(name, more) for more in usable if more.startswith(f"{name}/")]
    return ways


def _root(component: str) -> str:
    return component.partition("/")[0]


def main() -> None:
    """Render what the command line asks for."""
    parser = argparse.ArgumentParser(description="Render the manifests.")
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--kubectl", default=shutil.which("kubectl", path=Path(sys.executable).parent)
    )
    parser.add_argument("--product", action="store_true", help="everything that can be combined")
    given = parser.parse_args()
    files = render_all(given.folder, kubectl=given.kubectl, everything=given.product)
    sys.stdout.write(f"{len(files)} renderings in {given.folder}\n")


if __name__ == "__main__":
    main()
