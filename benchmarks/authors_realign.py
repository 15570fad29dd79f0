"""Compare ReAlign with the script that the paper's authors released, row by row, on the same embeddings.

    python benchmarks/authors_realign.py CLONE --texts texts.npy --images images.npy

CLONE is a clone of the authors' repository (github.com/Yu-xm/ReVision), whose code is run as it is, in a process of its
own; none of it is part of this project. Assumptions about it, as of the commit of 2026-02 that this was written for:

- `embed_ReAlign.py` lies in CLONE and needs numpy and tqdm only;
- `--input_dir` and `--img_input_dir` are folders of .pkl files, each a list of dictionaries {id, embed} with a vector;
- `--output_dir`/trace/<name of the file>_trace.pkl has the aligned texts in the same form and order, as float32;
- `--mean_file_path` is one more output.

Rounding explains a difference of about 1e-7: their means are rounded to float32, and both outputs are float32.
"""

import argparse
import pickle
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from revision.align import make_aligner
from revision.embeddings import open_embeddings
from revision.embeddings.importers import import_embeddings

SCRIPT = "embed_ReAlign.py"


def imported(path: Path, folder: Path) -> np.ndarray:
    """Embeddings (n, d) of a file or folder in any supported format, as float32."""
    import_embeddings(path, folder)
    return np.array(open_embeddings(folder).array())


def authors_rows(clone: Path, texts: np.ndarray, images: np.ndarray, folder: Path) -> np.ndarray:
    """Texts (n, d) as the authors' script aligns them."""
    script = (clone / SCRIPT).resolve()
    if not script.is_file():
        sys.exit(f"error: {script} does not exist; name a clone of the authors' repository")
    for name, rows in (("texts", texts), ("images", images)):
        (folder / name).mkdir()
        entries = [{"id": str(number), "embed": row} for number, row in enumerate(rows)]
        (folder / name / f"{name}.pkl").write_bytes(pickle.dumps(entries))
    command = [sys.executable, str(script), "--input_dir", "texts", "--img_input_dir", "images"]
    command += ["--output_dir", "out", "--mean_file_path", "out/mean_vector.pkl"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    aligned = folder / "out/trace/texts_trace.pkl"
    if done.returncode or not aligned.is_file():
        sys.exit(f"error: {SCRIPT} wrote no {aligned.name} (exit code {done.returncode}):\n{done.stderr[-2000:]}")
    return imported(aligned, folder / "aligned")


def main() -> None:
    """Align with both and print the differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone", type=Path)
    parser.add_argument("--texts", type=Path, required=True, help="embeddings in any format of `revision import`")
    parser.add_argument("--images", type=Path, required=True)
    options = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        texts, images = (imported(getattr(options, name), folder / f"our_{name}") for name in ("texts", "images"))
        theirs = authors_rows(options.clone, texts, images, folder)
    ours = make_aligner("realign").fit(texts, images).transform(texts)
    if ours.shape != theirs.shape:
        sys.exit(f"error: {SCRIPT} returned an array of shape {theirs.shape} for texts of shape {ours.shape}")
    difference = ours.astype(np.float64) - theirs
    lengths = np.linalg.norm(difference, axis=1)
    print(f"{len(texts)} texts, {len(images)} images, dimension {texts.shape[1]}")
    print(f"largest difference of a value: {np.abs(difference).max():.3g}")
    print(f"largest distance between rows: {lengths.max():.3g}, in row {lengths.argmax()}")


if __name__ == "__main__":
    main()
