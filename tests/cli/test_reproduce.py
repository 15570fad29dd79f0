"""One run at a time in a folder; what is asked wrongly is named before anything starts."""

import subprocess
import sys
import textwrap

import pytest

from revision.cli.reproduce import only_run
from revision.errors import RevisionError


def revision(*words, cwd):
    return subprocess.run([sys.executable, "-c", "from revision.cli import main; main()", *words], cwd=cwd,
                          capture_output=True, text=True)  # fmt: skip


def test_a_second_run_is_refused_with_the_reason(tmp_path):
    with only_run(tmp_path), pytest.raises(RevisionError, match="another run is working there"), only_run(tmp_path):
        pass
    with only_run(tmp_path):
        pass


def test_the_lock_of_a_killed_run_is_free(tmp_path):
    script = f"""
        import os, signal, pathlib
        from revision.cli.reproduce import only_run
        with only_run(pathlib.Path({str(tmp_path)!r})):
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)])
    assert done.returncode == -9
    with only_run(tmp_path):
        pass


def test_the_lock_lasts_as_long_as_the_workflow(tmp_path):
    with only_run(tmp_path) as lock:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock.fileno()])
    with pytest.raises(RevisionError), only_run(tmp_path):
        pass
    child.communicate(b"\n")
    with only_run(tmp_path):
        pass


def test_unknown_scale_and_wrong_folder_are_named(tmp_path):
    elsewhere = revision("reproduce", cwd=tmp_path)
    assert elsewhere.returncode == 2 and "no Snakefile here" in elsewhere.stderr
    (tmp_path / "Snakefile").touch()
    (tmp_path / "config/scales").mkdir(parents=True)
    (tmp_path / "config/scales/tiny.yaml").touch()
    unknown = revision("reproduce", "--scale", "huge", cwd=tmp_path)
    assert unknown.returncode == 2 and "'huge' does not exist; the scales are tiny" in unknown.stderr
