"""mkdocs hook that fills two pages: the commands from their help texts, and the settings from config/README.md."""

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
    """Replace the marker of a page by its generated text."""
    name = page.file.src_uri.removesuffix(".md")
    return markdown.replace(f"<!-- {name} -->", GENERATED[name]()) if name in GENERATED else markdown
