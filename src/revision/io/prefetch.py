"""Process items on several threads, with results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def ordered_map(work: Callable[[S], T], items: Iterable[S], threads: int = 1, *, ahead: bool = False) -> Iterator[T]:
    """Map a function over items on several threads.

    Parameters
    ----------
    work : callable
        Function of an item.
    items : iterable
        The items. Only a few more than `threads` are taken in advance, so that memory use is bounded.
    threads : int, default=1
        Number of threads. A single one is the caller's own, unless `ahead` is set.
    ahead : bool, default=False
        Whether a single thread prepares the next results while the caller uses one.

    Yields
    ------
    Any
        The results, in the order of the items. An error is raised where the result of its item would be.

    Raises
    ------
    ValueError
        If `threads` is less than 1.
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
