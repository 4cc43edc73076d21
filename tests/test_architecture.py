"""The house keeps its shape: floors, sizes, names, and nothing that only works where it was made.

The floors themselves are contracts of import-linter in `pyproject.toml`; `make check` holds them.
"""

import ast
import re
import statistics
import subprocess
import tomllib
from pathlib import Path

import aiohttp
import pytest

from taxiway import errors

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "service" / "taxiway"
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if "migrations" not in p.parts)


def lines(path: Path) -> int:
    """Return how many lines a file has."""
    return path.read_text().count("\n")


def test_files_are_small() -> None:
    """The median file has about a hundred lines, none more than four hundred."""
    too_long = {str(p.relative_to(PACKAGE)): n for p in MODULES if (n := lines(p)) > 400}

    assert too_long == {}
    assert statistics.median(map(lines, MODULES)) <= 130


def test_functions_are_small() -> None:
    """Nineteen functions in twenty have at most forty lines, and none more than a hundred."""
    spans = [
        ((node.end_lineno or 0) - node.lineno + 1, f"{path.name}:{node.name}")
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    spans.sort()

    assert spans[int(len(spans) * 0.95)][0] <= 40
    assert [name for n, name in spans if n > 100] == []


def test_no_file_is_called_by_a_word_that_says_nothing() -> None:
    """A reader learns the trade from the names of the files."""
    nothing = {"utils", "helpers", "common", "core", "base", "manager", "misc", "main"}

    assert [str(p) for p in MODULES if p.stem in nothing] == []


def test_the_source_root_is_no_package() -> None:
    """`service` is a folder: `import service` would load every module twice."""
    assert not (ROOT / "service" / "__init__.py").exists()


def test_what_leans_on_inner_parts_is_held_below_the_next_minor_version() -> None:
    """`providers/calls.py` uses what aiohttp promises nobody: the version that is tested is the last one taken."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (bounds,) = (each for each in wanted if each.startswith("aiohttp>"))
    major, minor, _ = aiohttp.__version__.split(".", 2)

    assert bounds.endswith(f",<{major}.{int(minor) + 1}")


def test_the_tree_of_errors_is_drawn_in_full() -> None:
    """Every exception stands in the tree of the docstring, in its place."""
    drawn = set(re.findall(r"\b(\w+Error)\b", (errors.__doc__ or "").split("The classes")[0]))
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }

    assert defined == drawn


def test_every_code_of_a_job_has_a_class_and_a_reason() -> None:
    """A failed job's code is one of the table, and its class answers with a status of its own."""
    assert all(kind.status_code >= 400 for kind, _ in errors.JOB_CODES.values())
    assert {reason for _, reason in errors.JOB_CODES.values()} <= set(errors.Reason)


def test_a_vendor_is_an_entry_and_an_adapter() -> None:
    """Nothing beside the table of vendors and the adapter's own files knows of a vendor without tasks."""
    ours = {path for path in MODULES if path.parent.name == "providers" and "openai" in path.name}
    naming = {
        str(path.relative_to(PACKAGE))
        for path in {*MODULES} - ours
        if re.search(r"providers\.openai|\bOPENAI\b|[\"']openai[\"']", path.read_text())
    }

    assert naming == {"vendors.py"}


def test_no_file_names_a_package_index() -> None:
    """Where packages come from is the machine's business."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    names = re.compile(r"pypi\.org|pythonhosted|registry\.npmjs|deb\.debian\.org|--index-url")
    texts = {
        name: (ROOT / name) for name in tracked if (ROOT / name).suffix not in {".png", ".ico"}
    }
    found = [
        name
        for name, path in texts.items()
        if path.is_file()
        and name != "tests/test_architecture.py"
        and names.search(path.read_text())
    ]

    assert found == []


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_says_what_it_is_for(path: Path) -> None:
    """Each module begins with a line of what it is responsible for."""
    assert ast.get_docstring(ast.parse(path.read_text()))
