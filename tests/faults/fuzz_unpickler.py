"""Coverage-guided fuzzing of the plain-data unpickler, by hand: it runs until a finding or the time is up.

    pip install atheris
    python tests/faults/fuzz_unpickler.py -max_total_time=300 -rss_limit_mb=2048 -timeout=10 corpus/

A finding is anything but plain data or a DataError: another exception, a program that starts, a hang, 2 GB of memory.
"""

import os
import pickle
import subprocess
import sys
import tempfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["revision", "pickletools"]):
    from revision.embeddings import unpickler as plain_pickle
from revision.errors import RevisionError

SHARED = Path("/dev/shm")
PLACE = Path(tempfile.mkdtemp(dir=SHARED if SHARED.is_dir() else None)) / "fuzz.pkl"
STARTS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect")


def forbid(event: str, _: object) -> None:
    """End the process at once if anything starts a program."""
    if event in STARTS:
        os.abort()


def once(data: bytes) -> None:
    """Read one mutated pickle."""
    PLACE.write_bytes(data)
    with suppress(RevisionError):
        plain_pickle.read_pickle(PLACE)


def seeds(folder: Path) -> None:
    """Good pickles of every protocol, and one that runs a program where it is let."""
    row = np.arange(3, dtype=np.float32)
    values = [
        [{"id": "a", "embed": row, "caption": "red"}],
        [{"id": np.int64(1), "embed": [1.0, 2.0]}],
        OrderedDict(a=np.array(["x", "yz"]), b={b"raw"}),
        subprocess.run,
    ]
    folder.mkdir(parents=True, exist_ok=True)
    for protocol in range(6):
        for number, value in enumerate(values):
            (folder / f"seed-{protocol}-{number}").write_bytes(pickle.dumps(value, protocol=protocol))


if __name__ == "__main__":
    for word in sys.argv[1:]:
        if not word.startswith("-"):
            seeds(Path(word))
    sys.addaudithook(forbid)
    atheris.Setup(sys.argv, once)
    atheris.Fuzz()
