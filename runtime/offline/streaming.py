"""Answer a stream of pictures: the next ones are read and prepared while one is answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Generic

from runtime.errors import InputRefused
from runtime.inference.task import Answer, Prepared, Work
from runtime.tile import Picture

# Gives the pictures that one answer is about.
Load = Callable[[], Sequence[Picture]]
IN_FLIGHT = 4
WORKERS = 2


class AnswerStream(Generic[Prepared, Answer]):
    """Pictures in, answers out, in the same order, whatever the model's task.

    At most `in_flight` are held at once, however many come and however slowly their answers are
    taken; nothing is drawn from the source before an answer is asked for. One stream at a time.
    """

    def __init__(self, work: Work[Prepared, Answer], *, in_flight: int = IN_FLIGHT) -> None:
        self._work = work
        self._in_flight = in_flight

    def answers(self, seen: Iterable[Sequence[Picture]]) -> Iterator[Answer]:
        """Yield every answer; raises what the work raises."""
        for outcome in self.outcomes(partial(_same, pictures) for pictures in seen):
            if isinstance(outcome, InputRefused):
                raise outcome
            yield outcome

    def outcomes(self, loads: Iterable[Load]) -> Iterator[Answer | InputRefused]:
        """Yield every answer, or why there is none; `loads` are called on workers."""
        under_way: deque[Future[Prepared]] = deque()
        pool = ThreadPoolExecutor(min(WORKERS, self._in_flight), thread_name_prefix="prepare")
        try:
            for load in loads:
                under_way.append(pool.submit(self._prepare, load))
                if len(under_way) == self._in_flight:
                    yield self._answer(under_way.popleft())
            while under_way:
                yield self._answer(under_way.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _prepare(self, load: Load) -> Prepared:
        return self._work.prepare(load())

    def _answer(self, prepared: Future[Prepared]) -> Answer | InputRefused:
        try:
            return self._work.answer(prepared.result())
        except InputRefused as refusal:
            return refusal


def _same(pictures: Sequence[Picture]) -> Sequence[Picture]:
    return pictures
