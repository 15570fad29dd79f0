"""One process of a run dies, the others live: what died is named, nothing half or stale is left, a repeat ends it."""

import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest
from planting import ALIGN, EMBED, said
from toy import WORK, before, build, event, made, run, start

from revision import resume
from revision.align import base
from revision.cli.reproduce import is_locked
from revision.encoders import embed as corpus
from revision.errors import RevisionError
from revision.jobs import cause

RESULTS = Path(WORK).parent


@pytest.fixture
def toy(tmp_path):
    return build(tmp_path)


@pytest.mark.slow
def test_a_job_killed_alone_is_named_and_nothing_stale_is_left(toy):
    assert run(toy)[0] == 0
    (toy / "setting").write_text("second")
    before(toy, "a", "echo at work; bash -c 'kill -9 $$'; exit $?")
    code, heard = run(toy)
    assert code == 1
    assert re.search(
        r"failed: a killed by signal 9 \(SIGKILL\), most likely by the system because memory ran out; free memory "
        rf"or use fewer cores \(--cores 1\), then repeat the command its log {WORK}/logs/a.log ends with at work",
        heard,
    ), heard
    assert made(toy) == "one first" and not (toy / WORK / "a.txt").exists()
    before(toy, "a", "")
    beside = run(toy, f"{WORK}/d.txt")
    assert beside[0] == 0 and not (toy / WORK / "a.txt").exists(), beside
    code, heard = run(toy)
    assert (code, made(toy)) == (0, "one second"), heard


@pytest.mark.slow
def test_a_run_whose_command_is_killed_alone_ends_and_holds_its_lock_until_then(toy):
    before(toy, "b", event(toy, "b"))
    first = start(toy)
    assert (toy / "b-there").read_text() == "there\n"
    first.kill()
    code, heard = run(toy)
    assert code == 1 and "another run is working there" in heard, heard
    (toy / "b-go").write_text("go")
    first.communicate(timeout=120)
    wait_for(lambda: not is_locked(toy / WORK))
    code, heard = run(toy)
    assert (code, made(toy)) == (0, "one first") and "jobs" not in heard, heard


@pytest.mark.slow
def test_jobs_that_outlive_snakemake_are_waited_for(toy, monkeypatch):
    before(toy, "b", event(toy, "b"))
    first = start(toy)
    assert (toy / "b-there").read_text() == "there\n"
    monkeypatch.chdir(toy)
    os.kill(next(one for one in resume.orphans(RESULTS) if b"snakemake" in command_line(one)), signal.SIGKILL)
    heard = first.communicate(timeout=120)[0]
    assert first.returncode == 1 and "error: Snakemake was killed by signal 9 (SIGKILL), most likely" in heard, heard
    monkeypatch.setattr(resume, "PATIENCE", 0.0)
    with pytest.raises(
        RevisionError, match=rf"{RESULTS}: jobs of a run that was killed still work there \(process \d+"
    ):
        resume.refuse_orphans(RESULTS)
    (toy / "b-go").write_text("go")
    wait_for(lambda: not resume.orphans(RESULTS))
    before(toy, "b", "")
    code, heard = run(toy)
    assert (code, made(toy)) == (0, "one first"), heard


def command_line(number: int) -> bytes:
    return Path(f"/proc/{number}/cmdline").read_bytes()


def wait_for(what) -> None:
    until = time.monotonic() + 60
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("told", "means"),
    [
        ("Command 'x' returned non-zero exit status 137.", r"killed by signal 9 \(SIGKILL\), most likely .*memory"),
        ("Command 'x' died with <Signals.SIGKILL: 9>.", r"killed by signal 9 \(SIGKILL\), most likely .*memory"),
        ("Command 'x' died with <Signals.SIGSEGV: 11>.", r"killed by signal 11 \(SIGSEGV\); repeat the command"),
        ("Command 'x' returned non-zero exit status 143.", r"killed by signal 15 \(SIGTERM\); repeat the command"),
        (
            "Missing files after 5 seconds. results/a.txt (missing locally)",
            "it ended without an error and without its result; mend what its log says",
        ),
        ("Command 'exit status 137' returned non-zero exit status 1.", ""),
        ("Command 'x' returned non-zero exit status 255.", ""),
        ("", ""),
    ],
)
def test_what_ended_a_job_is_read_from_what_snakemake_says(told, means):
    assert re.fullmatch(f"{means}.*" if means else "", cause(told))


class Dies:
    """Does what a function does until its third call, which raises `error`; remembers the threads that called it."""

    def __init__(self, real, error):
        self.real, self.error, self.threads, self.calls = real, error, set(), 0

    def __call__(self, *arguments, **options):
        self.threads.add(threading.current_thread())
        self.calls += 1
        if self.calls == 3:
            raise self.error
        return self.real(*arguments, **options)


@pytest.mark.parametrize(
    ("module", "function", "command"),
    [(corpus, "decode_image", f"{EMBED} image"), (base, "run", f"{ALIGN} --threads 2")],
    ids=["embed", "align"],
)
@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory")],
    ids=["numpy", "torch"],
)
def test_a_thread_that_runs_out_of_memory_ends_its_command(module, function, command, error, work, monkeypatch, capsys):
    dies = Dies(getattr(module, function), error)
    monkeypatch.setattr(module, function, dies)
    before = sorted(work.iterdir())
    heard = said(command, monkeypatch, capsys)
    assert heard.endswith("error: memory ran out; free memory, or use smaller batches or fewer threads"), heard
    assert threading.main_thread() not in dies.threads and not any(thread.is_alive() for thread in dies.threads)
    assert sorted(work.iterdir()) == before, "something was left behind"
