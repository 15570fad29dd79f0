"""A full disk and a read-only folder: a command ends with one line of file and mend, and leaves nothing there."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from planting import FINETUNE, PRETRAIN, said

from revision.errors import DiskError
from revision.io.files import atomic_file, atomic_folder, write_json

ANALYSIS = Path(__file__).parents[2] / "analysis"
STATES = PRETRAIN.replace('"epochs": 1', '"epochs": 2, "checkpoint_every": 1')
STATE = "a state of pretrain"
COMMANDS = {
    "corpus": "corpus captions --split text --count 200 --out disk/out",
    "tasks": "tasks --count 30 --out disk/out",
    "train-encoder": """train-encoder --settings '{"steps": 1, "pictures": 8, "batch": 4, "dim": 8, "vision_width": 8}'
                     --out disk/out""",
    "embed": "embed large.parquet --encoder encoder --column short --out disk/out",
    "align": "align texts disk/out --target images",
    "align --save": "align texts aligned --target images --method gaussian_ot --save disk/out",
    "gap": "gap --image images --text texts --rows 64 --sample 32 --fit-share 1 --html disk/out",
    "pretrain": PRETRAIN.replace("--out out", "--out disk/out"),
    "finetune": FINETUNE.replace("--out out", "--out disk/out"),
    STATE: STATES.replace("--out out", "--out disk/out"),
}


@pytest.fixture
def disk(work):
    """A file system of 4 kilobytes at `disk` in the working folder."""
    (work / "disk").mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", "disk"], capture_output=True)
    if done.returncode:
        pytest.skip("no file system can be mounted here")
    yield work / "disk"
    subprocess.run(["umount", "--lazy", work / "disk"], check=True)


@pytest.mark.parametrize(
    ("fault", "command"),
    [*(("full", command) for command in COMMANDS), *(("read-only", command) for command in ("align", "gap", STATE))],
)
def test_a_real_file_system(fault, command, disk, monkeypatch, capsys):
    if command == "embed":
        from revision.data.corpus import write_corpus
        from revision.data.scenes import World

        write_corpus(World(), "captions", "text", 300, "large.parquet")
    if fault == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    heard = said(COMMANDS[command], monkeypatch, capsys)
    assert re.search({"full": "full|No space left", "read-only": "Read-only"}[fault], heard), heard
    assert re.search(r"disk/out[^:]*: .*(free space|another folder|elsewhere)", heard), heard
    assert list(disk.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("door", ["file", "folder", "file in a folder"])
def test_both_doors_name_the_final_place_and_keep_what_was_there(number, door, tmp_path):
    path = tmp_path / "out"
    with atomic_file(path) if door == "file" else atomic_folder(path) as old:
        (old if door == "file" else old / "old").write_text("old")

    def write():
        if door == "file":
            with atomic_file(path) as part:
                part.write_text("half")
                raise OSError(number, os.strerror(number), str(part))
        with atomic_folder(path) as part:
            (part / "a").write_text("half")
            if door == "folder":
                raise OSError(number, os.strerror(number))
            with atomic_file(part / "b") as inner:
                raise OSError(number, os.strerror(number), str(inner))

    mend = "another folder"
    with pytest.raises(DiskError, match=rf"^{re.escape(str(path))}: {os.strerror(number)}; .*{mend}"):
        write()
    assert [place.name for place in tmp_path.iterdir()] == ["out"]
    assert (path if door == "file" else path / "old").read_text() == "old"


def test_an_input_that_may_not_be_read_is_not_called_a_full_disk(tmp_path):
    with pytest.raises(PermissionError, match="secret"), atomic_file(tmp_path / "out"):
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/secret")


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(RuntimeError, match="a fault of ours"), atomic_folder(tmp_path / "out"):
        raise RuntimeError("a fault of ours")
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("inf")})


def test_a_script_of_analysis_ends_with_one_line(tmp_path, monkeypatch):
    program = (
        "import errno, os, sys, pandas as pd; from pathlib import Path; from style import save_table\n"
        "def full(*_, **__): raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))\n"
        "pd.DataFrame.to_csv = full\n"
        "save_table(pd.DataFrame({'a': [1]}), Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "table.csv"], capture_output=True, text=True, cwd=ANALYSIS
    )
    assert done.returncode == 1
    assert re.fullmatch(r"error: .*table\.csv: No space left on device; free space.*\n", done.stderr)
    assert list(tmp_path.iterdir()) == []
