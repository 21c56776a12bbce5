"""Photographs with the boxes of their faces on their way through the network: in batches, or each on one core."""

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from kp_tf.core.errors import KpError
from kp_tf.core.face import Face
from kp_tf.core.grey import Grey
from kp_tf.core.images import Photograph
from kp_tf.predict.ahead import Ahead
from kp_tf.predict.cascade import BATCH_SIZE

MAX_WAITING_PIXELS = 60_000_000  # of the photographs whose faces wait for a batch


@dataclass(frozen=True)
class Job:
    """A decoded photograph and the boxes of its faces.

    Attributes:
        grey: what the network sees.
        stored: (N, 4) boxes in pixels as stored.
        upright: (N, 4) the same boxes in upright pixels; (N, 5) where the angles of the faces are known.
        framed: whether the only box is the whole photograph.
        detected: whether the boxes come from the detector.
        photograph: as decoded, if it was in colour.
    """

    grey: Grey
    stored: np.ndarray
    upright: np.ndarray
    framed: bool = False
    detected: bool = False
    photograph: Photograph | None = None


Open: TypeAlias = Callable[[tuple, Callable[[int], None]], Job]  # from an item and `admit`, see `Ahead`
Predict: TypeAlias = Callable[[list[Job]], Iterator[list[Face]]]
Result: TypeAlias = tuple[Photograph | None, list[Face]] | KpError


def one_by_one(open_job: Open, predict: Predict, items: Iterable[tuple]) -> Iterator[Result]:
    """Decode and predict photographs on all cores, each on one of them; yield the results in order."""

    def result(item: tuple, admit: Callable[[int], None]) -> tuple[Photograph | None, list[Face]]:
        job = open_job(item, admit)
        return job.photograph, next(predict([job]))

    with Ahead(result, items) as results:
        for number, faces in results:
            yield faces
            del faces  # and the photograph with it
            results.release([number])


def in_batches(open_job: Open, predict: Predict, items: Iterable[tuple]) -> Iterator[Result]:
    """Decode photographs ahead on all cores, and predict their faces in batches; yield the results in order."""
    with Ahead(open_job, items) as jobs:
        while (yield from _batch_results(jobs, predict)):
            pass


def _batch_results(jobs: Ahead[Job], predict: Predict) -> Generator[Result, None, bool]:
    """Yield the results of the next batch and return whether there were any; its photographs end with the call."""
    batch = list(_next_batch(jobs))
    faces = predict([job for _, job in batch if isinstance(job, Job)])
    for _, job in batch:
        yield (job.photograph, next(faces)) if isinstance(job, Job) else job
    jobs.release(number for number, _ in batch)
    return bool(batch)


def _next_batch(jobs: Ahead[Job]) -> Iterator[tuple[int, Job | KpError]]:
    """The next jobs with their numbers, until a batch of faces is full or their photographs are many pixels."""
    faces = pixels = 0
    for number, job in jobs:
        yield number, job
        if isinstance(job, Job):
            faces += len(job.stored)
            pixels += job.grey.image.width * job.grey.image.height
        if faces >= BATCH_SIZE or pixels >= MAX_WAITING_PIXELS:
            return
