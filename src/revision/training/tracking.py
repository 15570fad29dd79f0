"""Experiment trackers of accelerate, such as TensorBoard or Weights & Biases, for the curves of a training."""

from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from accelerate.utils import LoggerType

from revision.config.base import unknown_name
from revision.errors import ConfigError

PACKAGES = {"comet_ml": "comet-ml", "dvclive": "dvclive[all]"}
"""Packages to install, where the name differs from the tracker's."""


def tracked(tracker: str | None, folder: str | Path) -> dict[str, Any]:
    """Return the arguments that make an `Accelerator` log to a tracker.

    accelerate itself ignores a tracker whose package is missing.

    Parameters
    ----------
    tracker : str or None
        Name of a tracker of accelerate, or of one registered with it; None for none.
    folder : path
        Where a tracker that keeps local files writes them.

    Returns
    -------
    dict
        Keyword arguments, empty without a tracker.

    Raises
    ------
    ConfigError
        If accelerate does not know the tracker, or its package is not installed.
    """
    if tracker is None:
        return {}
    for line in unknown_name("tracker", tracker, LOGGER_TYPE_TO_CLASS):
        raise ConfigError(line)
    if tracker in LoggerType.list() and LoggerType(tracker) not in get_available_trackers():
        raise ConfigError(f"tracker: {tracker} is not installed; pip install '{PACKAGES.get(tracker, tracker)}'")
    return {"log_with": tracker, "project_dir": str(folder)}


def finish(accelerator: Accelerator) -> None:
    """Close the trackers; `Accelerator.end_training` would also end the processes' group, needed later on."""
    for tracker in accelerator.trackers:
        tracker.finish()
