"""mkdocs hook: titles of code blocks, and two generated pages, commands and settings."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any


def commands() -> str:
    """Return the help of every command."""
    import typer
    from typer.cli import get_docs_for_click

    from revision.cli import app

    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="revision")
    return text[text.index("## ") :]


def configuration() -> str:
    """Return config/README.md without its title."""
    return (Path(__file__).parents[1] / "config/README.md").read_text(encoding="utf-8").partition("\n\n")[2]


GENERATED: dict[str, Callable[[], str]] = {"commands": commands, "configuration": configuration}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Make file names of code blocks their titles; replace the marker of a page by its generated text."""
    # Markdown would not recognise the block, and take its end for the start of another.
    markdown = re.sub(r"^```(\w+) (\S+)$", r'```\1 title="\2"', markdown, flags=re.MULTILINE)
    name = page.file.src_uri.removesuffix(".md")
    return markdown.replace(f"<!-- {name} -->", GENERATED[name]()) if name in GENERATED else markdown
