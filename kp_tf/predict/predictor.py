"""Photographs to faces with points, whatever file holds the network; TensorFlow only if that file needs it."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from kp_tf.artifacts.runs import Run
from kp_tf.backends.engines import Network, cores, load_engine
from kp_tf.core.errors import KpError
from kp_tf.core.geometry import crop_windows, empty, to_pixels
from kp_tf.core.images import Photograph, Picture, check_boxes, cut_out, open_photograph
from kp_tf.core.keypoints import IBUG68, Scheme
from kp_tf.predict.cascade import outputs_of
from kp_tf.predict.confidence import UNCALIBRATED, confidence_of
from kp_tf.predict.detector import find_faces

BATCH = 32  # faces through the network at once
DOUBT = 0.7  # a find of less confidence in the mean is no face: 300-W's faces have 0.8 and more, other things 0.4
PIXELS = 60_000_000  # of the photographs whose faces wait for a batch


@dataclass(frozen=True)
class Face:
    """A face and its points, in pixels of the photograph as stored.

    Attributes:
        box: (4,) left, top, width, height: as given or found.
        points: (K, 2) x and y; (0, 0) is the centre of the top left pixel.
        confidence: (K,) in [0, 1]: how probable it is by the point's heatmap that it lies within 3 % of the crop's
            side from the truth, which is some 8 % of the distance of the outer eye corners. NaN where the network
            has no heatmaps.
        scheme: names, groups and mirror partners of the points.
        number: in a clip, from 1, the same in all frames; None in a photograph.
    """

    box: np.ndarray
    points: np.ndarray
    confidence: np.ndarray
    scheme: Scheme
    number: int | None = None

    @property
    def five(self) -> np.ndarray:
        """(5, 2): centres of the eyes, tip of the nose, corners of the mouth; left is the photograph's left.

        Of the 68 points: the means of 36–41 and of 42–47, then 30, 48, 54.

        Raises:
            ValueError: if the points are not the 68.
        """
        if self.scheme != IBUG68:
            raise ValueError(f"the five are made of the 68 points. Received: {self.scheme.name}")
        eyes = [self.points[36:42].mean(axis=0), self.points[42:48].mean(axis=0)]
        return np.array([*eyes, *self.points[[30, 48, 54]]])


class Predictor:
    """A network at work on photographs.

    Attributes:
        run: what it is and how it was trained.
        scheme: its points.
    """

    def __init__(self, run: Run, network: Network, find: Callable[[Image.Image], np.ndarray] = find_faces) -> None:
        """Args: run, network: from `engines.load_engine`. find: an upright picture to boxes (N, 4) of its faces."""
        self.run, self.scheme, self._network, self._find = run, run.scheme, network, find

    @classmethod
    def load(cls, source: str | Path | None = None) -> "Predictor":
        """A run directory, a file of `export` or `pack`, "compact" or "large"; None means `compact`.

        Raises:
            KpError: if there is no such network, or what computes it is not installed.
        """
        return cls(*load_engine(source))

    def predict(self, image: Picture, boxes: object = None) -> list[Face]:
        """The faces of one photograph; none is an answer.

        Args:
            image: a path, a Pillow image, or an array (H, W) or (H, W, 3) of uint8.
            boxes: (N, 4) left, top, width, height in pixels as stored, N may be 0. None: they are found, and finds
                that the network doubts are left out.

        Raises:
            KpError: if it is no photograph, or a box is bad, or finding faces needs an extra.
        """
        return next(self._faces([self._open((image, boxes))]))

    def predict_batch(
        self, images: Iterable[Picture], boxes: Iterable[object] | None = None
    ) -> Iterator[list[Face]]:
        """The faces of any number of photographs, in order: decoded ahead, looked at together, soon forgotten.

        Args:
            images: each as for `predict`; taken as they are needed.
            boxes: for each as for `predict`. None: all are found.

        Raises:
            KpError: as `predict`, when it comes to the photograph.
        """
        for result in self.results(images, boxes):
            if isinstance(result, KpError):
                raise result
            yield result[1]

    def track(self, frames: Iterable[Picture], rate: float = 30.0, steady: bool = True) -> Iterator[list[Face]]:
        """The faces of frames that come one by one, each face with a `number` that stays.

        The box of the next frame comes from the points of this one; the detector looks again now and then, or when
        the confidence falls. For frames with times of their own: `tracking.Tracker`.

        Args:
            frames: each as for `predict`; taken as they are needed.
            rate: frames a second.
            steady: filter the points' jitter.

        Raises:
            KpError: as `predict`.
        """
        from kp_tf.predict.tracking import OneEuro, Tracker  # it needs this module

        tracker = Tracker(self, OneEuro if steady else None)
        for place, frame in enumerate(frames):
            yield tracker.update(frame, place / rate)

    def with_run(self, run: Run) -> "Predictor":
        """The same network used in another way."""
        return Predictor(run, self._network, self._find)

    def results(
        self, images: Iterable[Picture], boxes: Iterable[object] | None = None
    ) -> Iterator[tuple[Photograph, list[Face]] | KpError]:
        """As `predict_batch`, with the decoded photographs; where one cannot be used, the error in its place."""
        items = ((image, None) for image in images) if boxes is None else zip(images, boxes, strict=True)
        jobs = _ahead(self._open, items)
        while batch := list(_batch(jobs)):
            faces = self._faces([job for job in batch if isinstance(job, _Job)])
            for job in batch:
                yield (job.photograph, next(faces)) if isinstance(job, _Job) else job

    def _open(self, item: tuple[Picture, object]) -> "_Job":
        photograph = open_photograph(item[0])
        whole = item[1] is None and self.run.config.get("dataset") == "imm"  # made to look at all of it
        if whole:
            upright = np.array([(0, 0, *photograph.upright.size)], np.float64)
            stored = photograph.turn.boxes_to_stored(upright)
        elif item[1] is None:
            upright = self._find(photograph.upright)
            stored = photograph.turn.boxes_to_stored(upright)
        else:
            stored = check_boxes(photograph.name, item[1])
            upright = photograph.turn.boxes_to_upright(stored)
        outside = empty(crop_windows(upright, self.run.recipe.crop_scale), [photograph.upright.size])
        if outside.any() and not whole:
            left, top, width, height = stored[outside.argmax()]
            size = "{} × {}".format(*photograph.upright.size)
            found = f"one outside: {left:g}, {top:g}, {width:g} × {height:g}"
            raise KpError(f"{photograph.name}: expected a box in the photograph ({size}), found {found}")
        found = item[1] is None and not whole
        return _Job(photograph, photograph.upright.convert("L"), stored, upright, whole, found)

    def _faces(self, jobs: list["_Job"]) -> Iterator[list[Face]]:
        outputs = [np.empty((len(job.stored), len(self.scheme), 3)) for job in jobs]
        for whole in (True, False):
            owners = [(j, b) for j, job in enumerate(jobs) if job.whole == whole for b in range(len(job.stored))]
            if owners:
                for (j, b), output in zip(owners, self._outputs(jobs, owners, whole), strict=True):
                    outputs[j][b] = output
        for job, output in zip(jobs, outputs, strict=True):
            points = job.photograph.turn.to_stored(output[..., :2])
            confidence = confidence_of(output[..., 2], self.run.calibration)
            doubtful = job.found & (confidence.mean(axis=1) < DOUBT) & (self.run.calibration != UNCALIBRATED)
            faces = zip(job.stored, points, confidence, doubtful, strict=True)
            yield [Face(*face, self.scheme) for *face, doubt in faces if not doubt]

    def _outputs(self, jobs: list["_Job"], owners: list[tuple[int, int]], whole: bool) -> np.ndarray:
        """Outputs (N, K, 3) in upright pixels for N boxes, each by its job and its place there."""
        recipe = self.run.recipe

        def look(faces: np.ndarray, boxes: np.ndarray, last: bool) -> np.ndarray:
            windows, found = crop_windows(boxes, recipe.crop_scale), []
            for start in range(0, len(faces), BATCH):
                part = range(start, min(start + BATCH, len(faces)))
                crops = [cut_out(jobs[owners[faces[k]][0]].grey, windows[k], recipe.shape) for k in part]
                found.append(self._network(np.stack(crops)[..., None].astype(np.float32) / 255 - np.float32(0.5)))
            units = np.concatenate(found)
            return np.concatenate([to_pixels(units[..., :2], windows), units[..., 2:]], axis=-1)

        boxes = np.array([jobs[j].upright[b] for j, b in owners])
        sizes = np.array([jobs[j].grey.size for j, _ in owners])
        return outputs_of(look, boxes, self.run, lambda: sizes, framed=whole)


@dataclass(frozen=True)
class _Job:
    """A photograph, its grey picture, and its boxes as stored and upright: all of it, or found, or given."""

    photograph: Photograph
    grey: Image.Image
    stored: np.ndarray
    upright: np.ndarray
    whole: bool
    found: bool


def _batch(jobs: Iterator[_Job | KpError]) -> Iterator[_Job | KpError]:
    """The next jobs, until a batch of faces is full or their photographs would fill too much memory."""
    faces = pixels = 0
    for job in jobs:
        yield job
        if isinstance(job, _Job):
            faces += len(job.stored)
            pixels += job.grey.width * job.grey.height
        if faces >= BATCH or pixels >= PIXELS:
            return


def _ahead(function: Callable[[tuple], _Job], items: Iterable[tuple]) -> Iterator[_Job | KpError]:
    """`map` on all cores, a few items ahead of what is asked for; a KpError is an answer."""

    def answer(item: tuple) -> _Job | KpError:
        try:
            return function(item)
        except KpError as error:
            return error

    items = iter(items)
    with ThreadPoolExecutor(cores()) as pool:
        waiting = deque(pool.submit(answer, item) for item in islice(items, cores() + 1))
        while waiting:
            done = waiting.popleft().result()
            waiting.extend(pool.submit(answer, item) for item in islice(items, 1))
            yield done
