"""A guard for what reads foreign bytes: no program starts, memory stays bounded, errors are those a user can mend."""

import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from revision.errors import RevisionError

RUNS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect")
MEMORY, SECONDS = 1 << 30, 20
_heard: list[str] | None = None


def _listen(event: str, arguments: Any) -> None:
    if _heard is not None and event in RUNS:
        _heard.append(event)


sys.addaudithook(_listen)


@contextmanager
def _limited() -> Iterator[None]:
    """At most a gigabyte more than there is now; at most 20 seconds of CPU time."""
    pages = int(open("/proc/self/statm").read().split()[0])  # noqa: SIM115
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, before[1]))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # its default action ends the process: no hang passes
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)


def guarded(read: Callable[[], Any]) -> RevisionError | None:
    """Run `read`; its RevisionError or None. Anything else that it does is a finding and raised."""
    global _heard
    _heard = []
    error = None
    try:
        with _limited():
            read()
    except RevisionError as found:
        error = found
    heard, _heard = _heard, None
    assert not heard, f"it ran {heard}"
    assert "MemoryError" not in str(error), f"it asked for more than {MEMORY} bytes: {error}"
    assert len(str(error)) < 2000
    return error
