"""A title and a few named facts: how the commands introduce what they have started, and sum up what was done."""

from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

_NAME_WIDTH = 8


def print_paragraph(console: Console, title: str, *, remark: str, facts: Mapping[str, str]) -> None:
    """Print a title, a remark beside it, and the facts under it."""
    print_title(console, title, remark=remark)
    print_facts(console, facts)


def print_title(console: Console, title: str, *, remark: str = "", style: str = "bold") -> None:
    """Print a title after an empty line."""
    console.print()
    line = Text("  ").append(title, style=style).append(f" {remark}" if remark else "")
    console.print(line, soft_wrap=True)
    console.file.flush()


def print_facts(console: Console, facts: Mapping[str, str]) -> None:
    """Print named facts, one a line, and an empty line."""
    for name, text in facts.items():
        line = Text("  ").append(f"{name:<{_NAME_WIDTH}}", style="dim").append(f" {text}")
        console.print(line, soft_wrap=True)
    console.print()
    console.file.flush()
