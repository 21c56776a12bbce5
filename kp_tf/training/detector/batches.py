"""Batches of canvases, drawn by other processes while the network trains."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import count
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from kp_tf.core.workers import follow_parent
from kp_tf.training.detector import pictures
from kp_tf.training.detector.mosaics import Source, draw_canvas
from kp_tf.training.detector.targets import render

AHEAD = 6  # batches that are drawn or being drawn

Batch = tuple[np.ndarray, np.ndarray]  # canvases (B, side, side, 1) uint8, targets (B, side / 8, side / 8, 8) float32

_source: list[Source] = []  # of a process that draws


def draw_batch(source: Source, seed: int, number: int, size: int, side: int) -> Batch:
    """The batch of this number, which the seed and the number determine."""
    canvases, targets = np.empty((size, side, side, 1), np.uint8), []
    for index in range(size):
        pixels, boxes = draw_canvas(source, side, np.random.default_rng((seed, number, index)))
        canvases[index, ..., 0] = pixels
        targets.append(render(boxes, pixels.shape))
    return canvases, np.stack(targets)


def batches(file: Path, seed: int, first: int, size: int, side: int, processes: int) -> Iterator[Batch]:
    """Batches without end.

    Args:
        file: of `pictures.read_list`; each process reads it.
        seed: of the training.
        first: number of the first batch.
        size: canvases in a batch.
        side: of a canvas in pixels.
        processes: that draw.
    """
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _start, (file,))
    waiting: deque[Future] = deque()
    try:
        for number in count(first):
            waiting.append(pool.submit(_draw, seed, number, size, side))
            if len(waiting) == AHEAD:
                yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _start(file: Path) -> None:
    follow_parent()
    _source.append(Source.of(pictures.load(pictures.read_list(file)["training"])))


def _draw(seed: int, number: int, size: int, side: int) -> Batch:
    return draw_batch(_source[0], seed, number, size, side)
