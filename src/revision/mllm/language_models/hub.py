"""A language model of the Hugging Face hub, or of a local folder, where the workflow expects one."""

from pathlib import Path

from revision.io.files import atomic_folder, write_json
from revision.io.hub import snapshot
from revision.io.manifest import versions


def link_language_model(model: str, revision: str | None, out: str | Path) -> None:
    """Make `out` a language model's folder: `llm` is a link to the weights (the hub's cache or a folder), not a copy.

    Raises DataError if the weights can't be had: no such folder, offline and not cached, a licence gate.
    """
    found = snapshot("language model", model, model, revision)
    with atomic_folder(out) as temporary:
        (temporary / "llm").symlink_to(found.folder.resolve(), target_is_directory=True)
        about = {"stage": "language", "model": model, "revision": found.revision, "versions": versions()}
        write_json(temporary / "manifest.json", about)
