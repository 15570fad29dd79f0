"""Every command in the README and the docs exists, the site builds, and the status page is up to date."""

import functools
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from workflow_copy import copy_checkout

from revision.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "config/README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = ("revision", "snakemake", "make", "python", "pytest", "pip")
FENCED = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.M | re.S)
SHELLS = ("", "bash", "sh", "shell", "console")
INLINE = re.compile(rf"`((?:HF_HUB_OFFLINE=0 )?(?:{'|'.join(PROGRAMS)}) [^`\n]+)`")
INDENTED = re.compile(rf"^    ((?:{'|'.join(PROGRAMS)}) .+)$", re.M)
RULES = re.compile(r'^\s*(?:(?:rule|checkpoint) (?=\w+:)|"(?=\w+": Figure\())(\w+)', re.M)
# Commands that need another machine or an account: their beginning, and the reason.
NOT_RUN = {
    "hf auth login": "asks for an account",
    "torchrun": "tests/dynamics/test_shards.py runs two processes",
}


def shell_blocks(text):
    """Return the text of each fenced block of shell commands."""
    return [block for language, block in FENCED.findall(text) if language in SHELLS]


def whole_lines(block):
    """The lines of a block without comments; a quoted argument may span several."""
    line = ""
    for part in block.splitlines():
        line += (" " if line else "") + part.partition("  #")[0].strip()
        try:
            shlex.split(line)
        except ValueError:
            continue
        yield line
        line = ""


def commands():
    """(page, line) of every command, continued lines joined, comments left out."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        lines = [line for block in shell_blocks(text) for line in whole_lines(block)]
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
        lines += INDENTED.findall(prose) + INLINE.findall(prose)
        for line in dict.fromkeys(line.partition("  #")[0].strip() for line in lines):
            if line and not line.startswith("#"):
                yield pytest.param(page, line, id=f"{page.name}: {line[:60]}")


def check_revision(words):
    """The command and each of its options exist."""
    command = typer.main.get_command(app)
    if words[0].startswith("-"):
        return
    assert words[0] in command.commands, f"no command {words[0]}"
    known = {
        name for option in command.commands[words[0]].params for name in (*option.opts, *option.secondary_opts)
    } | {"--help"}
    assert {word.split("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)} <= known


@functools.cache
def snakemake_help():
    """The help text of Snakemake."""
    return subprocess.run([sys.executable, "-m", "snakemake", "--help"], capture_output=True, text=True).stdout


def check_snakemake(words):
    """The options exist, and the targets are rules (also of a panel or table) or files."""
    output = snakemake_help()
    assert all(word in output for word in words if word.startswith("-"))
    rules = set(RULES.findall("".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))))
    for word in words:
        if re.fullmatch(r"[a-z]+_\w+", word) and not re.fullmatch(r"figure_\d+[a-c]|table_\w+", word):
            assert word in rules, f"no rule {word}"


def check_make(words):
    """The target exists; nothing is run."""
    done = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def check_python(words):
    """The script is in the repository, or a file that the same page writes; options are in its text."""
    if words[0] == "-m":
        return
    path = ROOT / words[0]
    if path.is_file():
        text = path.read_text(encoding="utf-8")
        assert all(f'"{word}"' in text for word in words[1:] if word.startswith("--"))
    else:
        assert any(f"```python {words[0]}\n" in page.read_text(encoding="utf-8") for page in PAGES), words[0]


def check_pip(words):
    """The extra exists."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for names in re.findall(r"\.\[([^]]+)\]", " ".join(words)):
        assert set(names.split(",")) <= set(extras)


def check_pytest(words):
    """The files of tests exist."""
    assert all((ROOT / word).exists() for word in words if not word.startswith("-"))


CHECKS = {"revision": check_revision, "snakemake": check_snakemake, "make": check_make, "python": check_python,
          "pip": check_pip, "pytest": check_pytest}  # fmt: skip


@pytest.mark.parametrize(("page", "line"), list(commands()))
def test_command_exists(page, line):
    if any(line.startswith(words) for words in NOT_RUN):
        return
    words = [word for word in shlex.split(line) if not re.match(r"[A-Z_]+=", word) or line.startswith("make")]
    assert words[0] in CHECKS, f"{page.name}: {line}: check it here, or give a reason in NOT_RUN"
    CHECKS[words[0]](words[1:])


def run(folder, line):
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1",
    }
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", line], cwd=folder, env=environment, capture_output=True,
                          text=True)  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.mark.slow
def test_the_readmes_own_embeddings_run_as_written(tmp_path):
    import numpy as np

    rows = np.random.default_rng(0).standard_normal((2, 300, 16)).astype(np.float32) + 1
    rows /= np.linalg.norm(rows, axis=2, keepdims=True)
    for name, side in zip(("text", "image"), rows, strict=True):
        np.save(tmp_path / f"{name}.npy", side)
    block = next(text for text in shell_blocks(PAGES[0].read_text(encoding="utf-8")) if "revision import" in text)
    output = run(tmp_path, block)
    assert "Paired row by row" in output and "realign" in output and "as they were written" in output


@pytest.mark.slow
def test_the_ablation_of_the_tutorial_is_accepted_and_planned(tmp_path):
    copy_checkout(tmp_path)
    text = (ROOT / "docs/ablation.md").read_text(encoding="utf-8")
    path, settings = re.search(r"^```yaml (\S+)\n(.*?)^```$", text, re.M | re.S).groups()
    (tmp_path / path).write_text(settings, encoding="utf-8")
    output = run(tmp_path, next(block for block in shell_blocks(text) if " -n" in block))
    assert re.search(r"^pretrain +2$", output, re.M), output  # two encoders and one seed, each with all variants


def test_the_status_page_matches_the_committed_tables(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "analysis"))
    from status import page

    assert (ROOT / "docs/status.md").read_text(encoding="utf-8") == page(ROOT / "reference"), "run: make docs"


def test_the_status_page_lists_verdicts_and_accuracies(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "analysis"))
    from status import page

    folder = tmp_path / "laptop/tables"
    folder.mkdir(parents=True)
    (folder / "claims.csv").write_text(
        "id,statement,place,family,verdict,effect,low,high,verdict_without_control,published,p,second_version_of,"
        "replaced_because,exploratory\n"
        "a,It holds.,figure 3,geometry,supported,0.5,0.4,0.6,supported,,,,,False\n"
        "b,Not yet.,table 8,training,not run,,,,not run,2.17,,,,False\n"
        "c,No control.,table 1,training,not testable here,0.5,-1,2,inconclusive,2.66,0.5,,,False\n"
        "d,Anew.,figure 3,geometry,contradicted,0.9,0.8,1,contradicted,,,a,In sample.,True\n"
    )
    (folder / "table_1.csv").write_text(
        "stage,suite,group,method,encoders,seeds,value,low,high,published_average\n"
        "stage2,average,all,revision,4,2,61.23,60,62,49.75\n"
    )
    output = page(tmp_path)
    for line in (
        "3 claims: 1 supported, 1 not testable here, 1 not run.",
        "| training | 0 | 1 | 1 |",
        "- Training: 1 tests. With a p-value: 1, of which 0 decided by the criteria alone and 0 after Holm's",
        "| No control. `c` | table 1 | not testable here (inconclusive) | 0.5 [-1, 2]; paper 2.66 (above the interval)",
        "| Anew. `d` | `a`: In sample. | contradicted, exploratory | 0.9 [0.8, 1] |",
        "| It holds. `a` | figure 3 | supported | 0.5 [0.4, 0.6] |",
        "| Not yet. `b` | table 8 | not run | –; paper 2.17 |",
        "Means over 4 encoders with 2 training seeds each; 95% intervals by a random-effects model of encoders,",
        "| table 1 | ReVision | 61.2 [60.0, 62.0] | 49.75 |",
    ):
        assert line in output


@pytest.mark.slow
def test_the_site_builds_without_warnings_and_loads_nothing_external(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        loaded = re.findall(r"<(?:script|img|link|iframe)\b[^>]*(?:src|href)=\"?(https?://[^\" >]+)", page.read_text())
        assert not loaded, (page.name, loaded)
    assert "fit_stream" in (tmp_path / "site/reference.html").read_text()
    assert "revision reproduce" in (tmp_path / "site/commands.html").read_text()
