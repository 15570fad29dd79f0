"""What an accelerator computes is compared with the CPU. REVISION_TEST_DEVICE=cpu runs these tests without one."""

import os
from contextlib import contextmanager

import pytest
import torch
from accelerate import PartialState
from accelerate.state import AcceleratorState

FOUND = torch.accelerator.current_accelerator(check_available=True)
DEVICE = os.environ.get("REVISION_TEST_DEVICE") or (None if FOUND is None else FOUND.type)
needs_accelerator = pytest.mark.skipif(DEVICE is None, reason="torch finds no accelerator")


@contextmanager
def on(device):
    """Let accelerate train on `device`; it has one device and one precision per process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ACCELERATE_TORCH_DEVICE", device)
            yield
            assert PartialState().device.type == device
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


def same_files(one, two, names):
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
