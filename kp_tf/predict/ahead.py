"""Work on photographs ahead of their turn, on all cores, as far as the budget of pixels allows."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Generic, TypeVar

from kp_tf.core.budget import BUDGET
from kp_tf.core.errors import KpError
from kp_tf.core.hardware import available_cores

END = float("inf")  # no item is wanted any more
Job = TypeVar("Job")


class Ahead(Generic[Job]):
    """An iterator over the results of a function for each item, in order, with the number of each from 0.

    A KpError becomes a result. The next items are in work on all cores while one is used. Those that were admitted
    stay in the budget until `release`, and all leave it at the end of the block.
    """

    def __init__(self, function: Callable[[Any, Callable[[int], None]], Job], items: Iterable) -> None:
        """Start nothing yet.

        Args:
            function: from an item and `admit`, which it has to call with a number of pixels before it decodes them,
                to a result.
            items: consumed as needed.
        """
        self._function, self._items = function, enumerate(items)
        self._pool = ThreadPoolExecutor(available_cores())
        self._waiting: deque[tuple[int, Future[Job | KpError]]] = deque()
        self._wanted: float = -1  # the last item whose turn it is
        self._not_admitted: set[int] = set()
        self._pixels: dict[int, int] = {}  # in the budget, by item

    def __enter__(self) -> "Ahead[Job]":
        return self

    def __exit__(self, *error: object) -> None:
        self._want(END)
        self._pool.shutdown(cancel_futures=True)
        self.release(list(self._pixels))

    def __iter__(self) -> Iterator[tuple[int, Job | KpError]]:
        return self

    def __next__(self) -> tuple[int, Job | KpError]:
        for number, item in islice(self._items, available_cores() + 1 - len(self._waiting)):
            self._not_admitted.add(number)
            self._waiting.append((number, self._pool.submit(self._run, number, item)))
        if not self._waiting:
            raise StopIteration
        number, future = self._waiting.popleft()
        self._want(number)
        return number, future.result()

    def release(self, numbers: Iterable[int]) -> None:
        """Say that the results of these items are no longer used."""
        BUDGET.release(sum(self._pixels.pop(number, 0) for number in numbers))

    def _want(self, number: float) -> None:
        self._wanted = number
        BUDGET.wake()

    def _admit(self, number: int) -> None:
        self._not_admitted.discard(number)
        BUDGET.wake()

    def _run(self, number: int, item: object) -> Job | KpError:
        def admit(pixels: int) -> None:
            BUDGET.keep_ahead(pixels, lambda: number <= self._wanted, lambda: number == min(self._not_admitted))
            self._pixels[number] = pixels
            self._admit(number)
            if self._wanted == END:
                raise CancelledError

        try:
            return self._function(item, admit)
        except KpError as error:
            self.release([number])
            return error
        finally:
            self._admit(number)
