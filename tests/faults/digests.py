"""What two runs of the same work are compared by: the bytes of every result, but for what a clock has measured."""

import hashlib
import re
from fnmatch import fnmatch
from pathlib import Path

# Files that are not compared, and why.
LEFT_OUT = {
    "work/logs/*": "what jobs said, and the plan of the last run",
    "work/benchmarks/*": "times of the jobs",
    "work/.run.lock": "the lock",
    "*/timing.json": "times of a training",
    "tables/durations.csv": "times of the jobs",
    "figures/figure_7b.*": "measures time and memory on this machine",
}
# Parts of a file that are not compared, and why: whatever matches is cut out first.
CUT_OUT = {
    "tables/claims.csv": {r"(?m)^[^\n]*,figure 7b,[^\n]*\n": "verdicts on time and memory"},
    "report.html": {
        r'<li id="claim-(?:linear_time|constant_memory)".*?</li>': "verdicts on time and memory",
        r'<div class="chips".*?</div>': "the number of verdicts of each kind, those two among them",
        r'<article class="card hit" id="figure-7b">.*?</article>': "time and memory on this machine",
        r"All jobs together took .*? CPU time\.": "times of the jobs",
        r"<table><caption>Time by rule.*?</table>": "times of the jobs",
    },
}


def digests(results: Path) -> dict[str, str]:
    """SHA-256 of every result under `results`, by path; what a kill leaves behind counts too."""
    files = {path.relative_to(results).as_posix(): path for path in sorted(results.rglob("*")) if path.is_file()}
    return {
        name: hashlib.sha256(compared(name, path.read_bytes())).hexdigest()
        for name, path in files.items()
        if not any(fnmatch(name, pattern) for pattern in LEFT_OUT)
    }


def compared(name: str, content: bytes) -> bytes:
    """The part of a file that is compared."""
    for pattern in CUT_OUT.get(name, {}):
        content = re.sub(pattern.encode(), b"", content, flags=re.DOTALL if name.endswith(".html") else 0)
    return content


def differences(wanted: dict[str, str], found: dict[str, str]) -> list[str]:
    """Files that only one of them has or that differ."""
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
