"""Two processes under DeepSpeed ZeRO-3 (gloo) give the result of one; skipped if deepspeed is not installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from test_processes import CLOSE, alone, assert_same, world  # noqa: F401

CONFIGURATION = Path(__file__).parents[2] / "config/accelerate/deepspeed_zero3.yaml"
SETTINGS = {"epochs": 1, "batch_size": 10, "learning_rate": 0.01, "validate_every": 3, "checkpoint_every": 2}


@pytest.mark.slow
def test_zero3_matches_one_process_in_both_stages(world, alone, tmp_path):  # noqa: F811
    pytest.importorskip("deepspeed", reason="not a test dependency: its build needs a C++ compiler and a minute")
    values = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8")) | {"num_processes": 2, "use_cpu": True}
    (tmp_path / "deepspeed.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", tmp_path / "deepspeed.yaml",
                "--no_python", sys.executable, "-c", "from revision.cli import main; main()"]  # fmt: skip
    rows, table = world / "e", world / "t.parquet"
    first = ["pretrain", "--llm", world / "llm", "--embeddings", rows, "--captions", table, "--column", "short",
             "--validation-embeddings", rows, "--validation-captions", table]  # fmt: skip
    second = ["finetune", "--start", tmp_path / "s1", "--embeddings", rows, "--instructions", table,
              "--validation-embeddings", rows, "--validation-instructions", table]  # fmt: skip
    for stage, arguments in {"s1": first, "s2": second}.items():
        settings = SETTINGS | ({"micro_batch_size": 3} if stage == "s2" else {})
        (tmp_path / f"{stage}.json").write_text(json.dumps(settings))
        command = [*launcher, *arguments, "--config", tmp_path / f"{stage}.json", "--out", tmp_path / stage]
        environment = os.environ | {"DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}
        done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert_same(tmp_path, alone, **CLOSE)
    assert not list(tmp_path.rglob("*.state*"))
