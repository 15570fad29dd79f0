"""The threaded map: order of results, position of errors, bounded number of items in advance."""

import threading
import time

import pytest

from revision.io.prefetch import ordered_map


@pytest.mark.parametrize(("threads", "ahead"), [(1, False), (1, True), (3, False), (3, True)])
def test_results_and_errors_keep_the_order_of_their_items(threads, ahead):
    def work(item):
        if item == 5:
            raise KeyError("fifth")
        time.sleep(0.002 * (item % 2))
        return item**2

    results_so_far = []
    with pytest.raises(KeyError, match="fifth"):
        for item in ordered_map(work, range(9), threads, ahead=ahead):
            results_so_far.append(item)
    assert results_so_far == [0, 1, 4, 9, 16]
    assert list(ordered_map(work, [], threads, ahead=ahead)) == []


def test_few_items_are_taken_in_advance():
    taken = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    results = ordered_map(lambda item: item * item, items(), 3)
    assert [next(results) for _ in range(10)] == [item * item for item in range(10)]
    assert len(taken) <= 10 + 3 + 1
    assert list(results) == [item * item for item in range(10, 100)]


def test_the_next_result_is_prepared_while_one_is_in_use():
    made = [threading.Event() for _ in range(3)]

    def work(item):
        made[item].set()
        return item

    for item in ordered_map(work, range(3), ahead=True):
        assert item == 2 or made[item + 1].wait(10)


def test_a_single_thread_is_the_callers_own_and_zero_is_refused():
    assert set(ordered_map(lambda _: threading.current_thread(), range(3))) == {threading.main_thread()}
    with pytest.raises(ValueError, match="threads must be at least 1"):
        list(ordered_map(abs, [1], 0))
