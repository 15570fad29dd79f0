"""The command `openclipart`: drawings with human captions for scale `photos`, from a Debian package."""

from pathlib import Path
from typing import Annotated

import typer


def openclipart_command(
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("data/openclipart"),
    deb: Annotated[
        Path | None, typer.Option(help="The package openclipart-svg; without: `apt-get download` fetches it.")
    ] = None,
) -> None:
    """Write the public-domain drawings of Debian's openclipart-svg as a folder of images and captions.

    Example: revision openclipart --out data/openclipart
    """
    import tempfile

    from revision.data.openclipart import download_package, write_openclipart

    with tempfile.TemporaryDirectory() as folder:
        count = write_openclipart(deb or download_package(folder), out)
    typer.echo(f"{count} drawings in {out}")


def register(app: typer.Typer) -> None:
    """Add `openclipart` to `app`."""
    app.command("openclipart", rich_help_panel="Stages of the workflow")(openclipart_command)
