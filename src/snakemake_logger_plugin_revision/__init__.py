"""Logger plugin of Snakemake: jobs that start, end and fail as lines of JSON in a file, beside Snakemake's own log.

`snakemake --logger revision --logger-revision-events FILE`. `revision.jobs` reads the lines. `time` is the system's
monotonic clock, which all processes share and which never leaps; `wall` is the wall clock.
"""

import json
import time
from dataclasses import dataclass, field
from logging import LogRecord

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Settings of the plugin, options of Snakemake's command line."""

    events: str = field(default="", metadata={"help": "File that takes the lines.", "required": True})


class LogHandler(LogHandlerBase):
    """Appends one line an event; a line holds what a reader needs to name the job."""

    writes_to_stream = False
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def emit(self, record: LogRecord) -> None:
        """Write the record if it is about a job."""
        said = vars(record)
        event = said.get("event")
        if event == LogEvent.JOB_INFO:
            values = {
                "rule": said["rule_name"],
                "wildcards": {name: str(value) for name, value in (said["wildcards"] or {}).items()},
                "log": [str(path) for path in said["log"]],
                "output": [str(path) for path in said["output"]],
                "benchmark": None if said["benchmark"] is None else str(said["benchmark"]),
                "job": said["jobid"],
            }
        elif event == LogEvent.JOB_FINISHED:
            values = {"job": said["job_id"]}
        elif event == LogEvent.JOB_ERROR:
            values = {"job": said["jobid"]}
        elif event == LogEvent.ERROR:
            values = {"said": record.getMessage()[-4000:]}
        else:
            return
        assert isinstance(self.settings, LogHandlerSettings)
        line = json.dumps({"event": str(event), "time": time.monotonic(), "wall": time.time()} | values)
        with open(self.settings.events, "a", encoding="utf-8") as file:
            file.write(line + "\n")
