"""The tutorials run as they are written: each block in its order, in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.M | re.S)


def blocks(name):
    """(language, file name or "", text) of each fenced block."""
    return BLOCK.findall((DOCS / name).read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["new-encoder.md", "new-aligner.md"])
def test_every_block_runs_as_written(name, tmp_path):
    fenced = blocks(name)
    assert [language for language, *_ in fenced].count("bash") >= 3
    for _, file, text in fenced:
        if file:
            (tmp_path / file).write_text(text, encoding="utf-8")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    (tmp_path / "tests").symlink_to(DOCS.parent / "tests")
    printed = ""
    for language, file, text in fenced:
        if file:
            continue
        if language == "text":
            assert text in printed
            continue
        assert language == "bash", f"{name}: a block of {language} without a file's name is never run"
        command = ["bash", "-euo", "pipefail", "-c", text]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        printed = done.stdout


def test_python_files_of_the_tutorials_are_run_and_yaml_files_read():
    for name in ("new-encoder.md", "new-aligner.md"):
        fenced = blocks(name)
        commands = "".join(text for language, _, text in fenced if language == "bash")
        everything = "".join(text for *_, text in fenced)
        for language, file, _ in fenced:
            if language == "python":
                assert f"python {file}" in commands or f"from {Path(file).stem} import" in everything, file
            elif file and file != "clip_from_the_hub.yaml":
                assert file in everything, file


def test_aligners_import_from_modules_so_that_their_order_does_not_matter():
    """While `revision.align` is imported, it has no names yet."""
    library = [path.read_text(encoding="utf-8") for path in (DOCS.parent / "src/revision/align").glob("[a-z]*.py")]
    tutorial = next(text for _, file, text in blocks("new-aligner.md") if file == "part_way.py")
    assert not [text for text in (*library, tutorial) if re.search(r"^from revision\.align import", text, re.M)]


def test_the_hubs_example_is_a_valid_description(tmp_path):
    from revision.encoders.registry import read

    text = {file: text for _, file, text in blocks("new-encoder.md")}["clip_from_the_hub.yaml"]
    (tmp_path / "example.yaml").write_text(text)
    cls, settings = read(tmp_path / "example.yaml")
    assert cls.__name__ == "HuggingFaceEncoder" and settings.batch_size == 64
