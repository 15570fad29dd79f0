"""`revision reproduce`, `reproduce -n` and `status` on a workflow of three jobs; one fails until it is mended."""

import json
import re
import time

import pytest
from workflow_copy import reproduce, revision

from revision.cli.reproduce import only_run

pytestmark = pytest.mark.slow
SNAKEFILE = """
rule report:
    default_target: True
    input: "results/small/work/two"
    output: "results/small/report.html"
    log: "results/small/work/logs/report.log"
    shell: "cp {input} {output} 2> {log}"

rule one:
    output: "results/small/work/one"
    log: "results/small/work/logs/one.log"
    benchmark: "results/small/work/benchmarks/one.tsv"
    shell: "touch {output} 2> {log}"

rule two:
    input: "results/small/work/one"
    output: "results/small/work/two"
    log: "results/small/work/logs/two.log"
    benchmark: "results/small/work/benchmarks/two.tsv"
    shell: "cp mend {output} 2> {log}"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkout whose run has failed: the file `mend` is not there."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "Snakefile").write_text(SNAKEFILE)
    (folder / "config/scales").mkdir(parents=True)
    (folder / "config/scales/small.yaml").touch()
    return folder


def said(folder, *words):
    done = revision(folder, *words, "--scale", "small", "--cores", "1")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_failed_run_is_told_mended_and_finished_by_the_same_command(folder):
    assert "never timed" in said(folder, "reproduce", "-n") and "About" not in said(folder, "reproduce", "-n")
    failed = reproduce(folder, "--scale", "small", check=False)
    assert failed.returncode == 1 and "3 jobs, 3 jobs never timed; log results/small/work/logs" in failed.stdout
    assert "failed: two" in failed.stdout and "cannot stat 'mend'" in failed.stdout
    assert "error: the run stopped; mend what is said above" in failed.stderr and "Traceback" not in failed.stderr
    status = said(folder, "status")
    assert "results/small: no run is working here" in status and "left: 2 jobs" in status
    assert "finished: 1 jobs timed so far, 1 of them in the last run" in status and "failed: two" in status

    (folder / "mend").write_text("the report")
    done = reproduce(folder, "--scale", "small")
    assert f"The report is {folder / 'results/small/report.html'}" in done.stdout
    assert (folder / "results/small/report.html").read_text() == "the report"
    assert "Nothing to be done." in said(folder, "reproduce", "-n")
    status = said(folder, "status")
    assert f"nothing is left: the report is {folder / 'results/small/report.html'}" in status
    assert "finished: 2 jobs timed so far, 2 of them in the last run" in status


def test_status_tells_what_runs_while_the_lock_is_held(folder):
    work = folder / "results/small/work"
    (work / "logs").mkdir(parents=True, exist_ok=True)
    job = {"event": "job_info", "rule": "two", "wildcards": {"seed": "3"}, "log": ["log"], "benchmark": None, "job": 1}
    (work / "logs/events.jsonl").write_text(json.dumps(job | {"time": time.monotonic() - 600}) + "\n")
    with only_run(work):
        status = said(folder, "status")
    assert "results/small: a run is working here" in status
    assert re.search(r"runs: two seed3, for 1\d min", status), status  # and what the command takes


def test_what_snakemake_refuses_is_told_with_its_own_words(folder, tmp_path):
    (tmp_path / "config/scales").mkdir(parents=True)
    (tmp_path / "config/scales/small.yaml").touch()
    (tmp_path / "Snakefile").write_text('rule one:\n    input: "nowhere.csv"\n')
    planned = reproduce(tmp_path, "--scale", "small", check=False)
    assert planned.returncode == 1 and "error: Snakemake refuses:" in planned.stderr
    assert "Missing input files for rule one" in planned.stderr and "nowhere.csv" in planned.stderr
    # The plan succeeds, the run itself does not even start a job.
    refusal = 'if "--dry-run" not in sys.argv: raise WorkflowError("not on a Sunday")'
    (tmp_path / "Snakefile").write_text(f"from snakemake.exceptions import WorkflowError\n{refusal}\n{SNAKEFILE}")
    run = reproduce(tmp_path, "--scale", "small", check=False)
    assert run.returncode == 1 and "not on a Sunday" in run.stderr and "the run stopped; mend" in run.stderr
