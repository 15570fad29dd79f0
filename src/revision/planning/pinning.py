"""Record the commits of the data sets of a scale that no commit is known of."""

import re
from pathlib import Path

import huggingface_hub

from revision.config import Configuration
from revision.config.corpus import SourcesCorpus
from revision.config.evaluation import PublishedSuites
from revision.config.loading import scale_file
from revision.errors import ConfigError, DataError
from revision.evaluation.published_suites import task_settings, used_suites
from revision.io.files import write_text


def pin(config: Configuration, folder: str | Path) -> list[str]:
    """Look up the newest commit of each data set without one, and write it to the YAML file that names the data set.

    Parameters
    ----------
    config : Configuration
        Configuration of the scale.
    folder : path
        Folder of the scale's file and of the suites' file.

    Returns
    -------
    list of str
        One line per data set that was pinned: its id, the commit and the file.

    Raises
    ------
    DataError
        If the hub cannot be asked, or a data set does not exist.
    ConfigError
        If the file has no line after which the commit can be written.
    """
    written = []
    for hub, path, line in _unpinned(config, Path(folder)):
        try:
            commit = huggingface_hub.HfApi().dataset_info(hub).sha
        except Exception as error:  # the hub's client raises errors of several libraries
            reason = f"{type(error).__name__}: {error}"
            raise DataError(f"{hub}: its commit could not be looked up ({reason}); set HF_HUB_OFFLINE=0") from error
        _insert(path, line, f"revision: {commit}")
        written.append(f"{hub}: {commit}, written to {path}")
    return written


def _unpinned(config: Configuration, folder: Path) -> list[tuple[str, Path, str]]:
    """List id, file and the line that names the data set."""
    unpinned = []
    if isinstance(config.corpus, SourcesCorpus):
        path = scale_file(folder, config.scale)
        sources = [source for source in config.corpus.sources.values() if source.hub and not source.revision]
        unpinned += [(source.hub, path, f"hub: {source.hub}") for source in sources]
    if isinstance(config.evaluation.suites, PublishedSuites):
        suites, path = config.evaluation.suites, Path(config.evaluation.suites.file)
        for suite in used_suites(suites):
            if not suite.revision:
                unpinned.append((task_settings(suite)["dataset_path"], path, f"file: {suite.file}"))
    return unpinned


def _insert(path: Path, line: str, added: str) -> None:
    """Add a line below `line`, with its indentation; comments and order of the file stay."""
    text = path.read_text(encoding="utf-8")
    match = re.search(rf"^( *){re.escape(line)}(?=\s|$).*$", text, re.MULTILINE)
    if match is None:
        raise ConfigError(f"{path}: no line {line!r}, below which `{added}` is to stand; write it by hand")
    write_text(path, f"{text[: match.end()]}\n{match[1]}{added}{text[match.end() :]}")
