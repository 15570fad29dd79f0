"""Two processes under DeepSpeed ZeRO-3 (gloo) give the result of one; skipped if deepspeed is not installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from test_processes import CLOSE, alone, assert_same, stage1_of, stage2_of, world  # noqa: F401

CONFIGURATION = Path(__file__).parents[2] / "config/accelerate/deepspeed_zero3.yaml"
SETTINGS = {"epochs": 1, "batch_size": 10, "learning_rate": 0.01, "validate_every": 3, "checkpoint_every": 2}


@pytest.mark.slow
def test_zero3_matches_one_process_in_both_stages(world, alone, tmp_path):  # noqa: F811
    pytest.importorskip("deepspeed", reason="not a test dependency: its build needs a C++ compiler and a minute")
    values = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8")) | {"num_processes": 2, "use_cpu": True}
    (tmp_path / "deepspeed.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", tmp_path / "deepspeed.yaml",
                "--no_python", sys.executable, "-c", "from revision.cli import main; main()"]  # fmt: skip
    trainings = {
        "pretrain": stage1_of(world, tmp_path / "s1"),
        "finetune": stage2_of(world, tmp_path / "s1", tmp_path / "s2"),
    }
    for name, training in trainings.items():
        loop = SETTINGS | ({"micro_batch_size": 3} if name == "finetune" else {})
        (tmp_path / f"{name}.json").write_text(json.dumps({"loop": loop, "trainings": [training]}))
        command = [*launcher, name, "--config", tmp_path / f"{name}.json"]
        environment = os.environ | {"DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}
        done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert_same(tmp_path, alone, **CLOSE)
    assert not list(tmp_path.rglob("*.state*"))
