"""A language model of the Hugging Face hub or of a local folder, linked to where the workflow expects it."""

from pathlib import Path

from revision.io.files import atomic_folder, write_json
from revision.io.hub import snapshot
from revision.io.manifest import versions


def link_language_model(model: str, revision: str | None, out: str | Path) -> None:
    """Write a language model's folder, whose `llm` is a link to the weights and not a copy.

    Parameters
    ----------
    model : str
        Id on the hub, or a local folder.
    revision : str or None
        Commit on the hub; None for the newest.
    out : str or Path
        Folder to write, atomically.

    Raises
    ------
    DataError
        If the weights are not available: the folder does not exist, the hub is offline and they are not cached, or
        the licence has not been accepted.
    """
    weights = snapshot("language model", model, model, revision)
    with atomic_folder(out) as temporary:
        (temporary / "llm").symlink_to(weights.folder.resolve(), target_is_directory=True)
        about = {"stage": "language", "model": model, "revision": weights.revision, "versions": versions()}
        write_json(temporary / "manifest.json", about)
