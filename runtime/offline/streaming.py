"""Label pictures as they stream in: the next ones are read and prepared while one is judged."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from runtime.errors import InputRefused
from runtime.tasks.classify.classifier import Prepared, TileClassifier
from runtime.tile import Label, Picture

Load = Callable[[], Picture]
IN_FLIGHT = 4
WORKERS = 2


class StreamingClassifier:
    """Pictures in, labels out, in the same order.

    At most `in_flight` pictures are held at once, however many come and however slowly their labels
    are taken; nothing is drawn from the source before a label is asked for. One stream at a time.
    """

    def __init__(self, classifier: TileClassifier, *, in_flight: int = IN_FLIGHT) -> None:
        self._classifier = classifier
        self._in_flight = in_flight

    def labels(self, pictures: Iterable[Picture]) -> Iterator[Label]:
        """Yield the label of every picture; raises like `TileClassifier.classify`."""
        for outcome in self.outcomes(partial(_same, picture) for picture in pictures):
            if isinstance(outcome, InputRefused):
                raise outcome
            yield outcome

    def outcomes(self, loads: Iterable[Load]) -> Iterator[Label | InputRefused]:
        """Yield a label, or why there is none, for every picture; `loads` are called on workers."""
        under_way: deque[Future[Prepared]] = deque()
        pool = ThreadPoolExecutor(min(WORKERS, self._in_flight), thread_name_prefix="prepare")
        try:
            for load in loads:
                under_way.append(pool.submit(self._prepare, load))
                if len(under_way) == self._in_flight:
                    yield self._judge(under_way.popleft())
            while under_way:
                yield self._judge(under_way.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _prepare(self, load: Load) -> Prepared:
        return self._classifier.prepare(load())

    def _judge(self, prepared: Future[Prepared]) -> Label | InputRefused:
        try:
            return self._classifier.judge(prepared.result())
        except InputRefused as refusal:
            return refusal


def _same(picture: Picture) -> Picture:
    return picture
