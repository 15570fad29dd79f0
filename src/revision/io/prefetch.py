"""Work on items in threads, with results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def ordered_map(work: Callable[[S], T], items: Iterable[S], threads: int = 1, *, ahead: bool = False) -> Iterator[T]:
    """Map `work` over `items` on `threads` threads.

    Parameters
    ----------
    work, items
        The function and its arguments; at most one item a thread waits for its turn, so that memory stays flat.
    threads
        Number of threads; a single one is the caller's own,
    ahead
        unless the next results are to be made while the caller uses one.

    Yields
    ------
    The results, in the order of the items.
    """
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    if threads == 1 and not ahead:
        yield from map(work, items)
        return
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
