"""mkdocs hook for code blocks with a file name, and for the page of commands, made from their help texts."""

import re
from typing import Any


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Give code blocks with a file name that name as title; replace the marker in commands.md by the commands' help."""
    # Markdown would not recognise the block, and take its end for the start of another.
    markdown = re.sub(r"^```(\w+) (\S+)$", r'```\1 title="\2"', markdown, flags=re.MULTILINE)
    if page.file.src_uri != "commands.md":
        return markdown
    import typer
    from typer.cli import get_docs_for_click

    from revision.cli import app

    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="revision")
    return markdown.replace("<!-- commands -->", text[text.index("## ") :])
