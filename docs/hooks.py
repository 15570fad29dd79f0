"""Hook of mkdocs: the page of commands is what the commands say about themselves."""

from typing import Any


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put every command's help in the place of the marker."""
    if page.file.src_uri != "commands.md":
        return markdown
    import typer
    from typer.cli import get_docs_for_click

    from revision.cli import app

    command = typer.main.get_command(app)
    said = get_docs_for_click(obj=command, ctx=typer.Context(command), name="revision")
    return markdown.replace("<!-- commands -->", said.partition("## ")[1] + said.partition("## ")[2])
