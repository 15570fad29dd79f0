"""What a run shows while it works: a compact live display on a terminal, a plain line a finished job elsewhere."""

import subprocess
import time
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from revision.jobs import Durations, Job, Progress, estimate, failure, read_events

POLL = 0.5  # seconds
ENOUGH = 20  # seconds of estimated work that must be done before this run's pace says anything


def spoken(seconds: float) -> str:
    """A time span as it is said: 40 s, 12 min, 3 h 05 min; one that a clock made negative is none."""
    seconds = max(seconds, 0.0)
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


class Display:
    """The state of a run in words; `planned` are its jobs, timed beforehand by `durations`.

    Moments are seconds of the system's monotonic clock, as in the events.
    """

    def __init__(self, planned: list[Job], durations: Durations, cores: int, console: Console) -> None:
        self.planned, self.durations, self.cores, self.console = planned, durations, cores, console
        self.started = time.monotonic()
        self._printed = 0

    def left(self, state: Progress, now: float) -> str:
        """About how long the rest takes, at this run's pace against the former one's; empty if nothing is known.

        Rules that no former run timed take as long as their jobs that have ended in this run.
        """
        done = {job for job, _ in state.finished}
        expected = [(self.durations.before(job), seconds) for job, seconds in state.finished]
        before = sum(duration.seconds for duration, _ in expected if duration)
        pace = sum(seconds for duration, seconds in expected if duration) / before if before > ENOUGH else 1.0
        self.durations.learn(state.finished, pace)
        rest = estimate([job for job in self.planned if job not in done], self.durations, self.cores)
        underway = sum(
            min(max(now - start, 0.0), duration.seconds * pace)
            for job, start in state.running.values()
            if (duration := self.durations.of(job))
        )
        seconds = max(rest.seconds * pace - underway / self.cores, 0.0)
        untimed = f"{rest.unknown} {'job' if rest.unknown == 1 else 'jobs'} never timed"
        if not seconds:
            return untimed if rest.unknown else ""
        return f"more than {spoken(seconds)} left, {untimed}" if rest.unknown else f"about {spoken(seconds)} left"

    def render(self, state: Progress, now: float) -> Group:
        """The live display: a bar with the counts, and a line a running job."""
        bar = Table.grid(padding=(0, 1))
        total = len(self.planned)
        counts = f"{len(state.finished)}/{total} jobs"
        times = f"{spoken(now - self.started)} so far"
        bar.add_row(
            ProgressBar(total=total, completed=len(state.finished), width=24),
            *filter(None, (counts, times, self.left(state, now))),
        )
        lines = [Text(f"  {job.label}  {spoken(now - start)}", style="dim") for job, start in state.running.values()]
        return Group(bar, *lines)

    def print_news(self, state: Progress, now: float) -> None:
        """One plain line for each job that has finished since the last call."""
        for number, (job, seconds) in enumerate(state.finished[self._printed :], self._printed + 1):
            words = ", ".join(filter(None, [f"{job.label} took {spoken(seconds)}", self.left(state, now)]))
            self.console.print(f"[{number}/{len(self.planned)}] {words}", markup=False, highlight=False, soft_wrap=True)
        self._printed = len(state.finished)


def follow(process: subprocess.Popen[bytes], events: Path, display: Display) -> Progress:
    """Show the run until its process ends; failures are printed with the last lines of their logs.

    An interrupt reaches Snakemake too (it is in the same group): it is waited for, since it ends its jobs itself.
    """
    console, state, reported = display.console, Progress(), 0
    live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
    if live:
        live.start()
    try:
        ended = False
        while not ended:
            try:
                process.wait(POLL)
                ended = True
            except subprocess.TimeoutExpired:
                pass
            except KeyboardInterrupt:
                console.print("stopping: the running jobs are ended")
            state = Progress.of(read_events(events))
            for job in state.failed[reported:]:
                console.print(failure(job, said=state.said.get(job, "")), markup=False, highlight=False, soft_wrap=True)
            reported = len(state.failed)
            if live:
                live.update(display.render(state, time.monotonic()), refresh=True)
            else:
                display.print_news(state, time.monotonic())
    finally:
        if live:
            live.stop()
    return state
