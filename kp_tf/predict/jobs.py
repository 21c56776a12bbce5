"""Photographs with the boxes of their faces, as they wait for the network."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kp_tf.core.errors import KpError
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


def next_batch(jobs: Ahead[Job]) -> Iterator[tuple[int, Job | KpError]]:
    """The next jobs with their numbers, until a batch of faces is full or their photographs are many pixels."""
    faces = pixels = 0
    for number, job in jobs:
        yield number, job
        if isinstance(job, Job):
            faces += len(job.stored)
            pixels += job.grey.image.width * job.grey.image.height
        if faces >= BATCH_SIZE or pixels >= MAX_WAITING_PIXELS:
            return
