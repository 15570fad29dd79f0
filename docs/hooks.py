"""mkdocs hook that generates the page of commands from their help texts."""

from typing import Any


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Replace the marker in commands.md by the help of every command."""
    if page.file.src_uri != "commands.md":
        return markdown
    import typer
    from typer.cli import get_docs_for_click

    from revision.cli import app

    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="revision")
    return markdown.replace("<!-- commands -->", text[text.index("## ") :])
