"""From photographs to faces with landmarks, with any backend. TensorFlow is imported only if the backend is Keras."""

import pickle
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
from PIL import Image

from kp_tf.artifacts.info import ModelInfo
from kp_tf.artifacts.weights import WEIGHTS
from kp_tf.backends import load_network
from kp_tf.backends.network import Network
from kp_tf.core.boxes import box_outside, check_boxes
from kp_tf.core.errors import KpError
from kp_tf.core.face import Face
from kp_tf.core.geometry import crop_windows, misses_image, with_angles
from kp_tf.core.grey import Grey, open_grey
from kp_tf.core.images import Photograph, Picture, open_photograph
from kp_tf.predict.cascade import run_cascade
from kp_tf.predict.confidence import confidence_of
from kp_tf.predict.detectors import DEFAULT, Detector, find_detector
from kp_tf.predict.false_faces import are_faces
from kp_tf.predict.jobs import Job, in_batches, one_by_one
from kp_tf.predict.search import NETWORK, search
from kp_tf.predict.tracking import OneEuro, Tracker


class Predictor:
    """Predicts the landmarks of the faces in photographs.

    Threads may share one. If `load` made it, it can be pickled, and the other process loads the same network.

    Attributes:
        info: the network's description.
        scheme: what its points are.
    """

    def __init__(self, info: ModelInfo, network: Network, detector: str | Detector = DEFAULT) -> None:
        """Combine a network and a detector.

        Args:
            info: from `backends.load_network`.
            network: from `backends.load_network`.
            detector: see `detectors.find_detector`; "network": the network itself, see `search.search`.

        Raises:
            KpError: if there is no detector of this name.
        """
        self.info, self.scheme = info, info.scheme
        self._network, self._detector = network, detector if detector == NETWORK else find_detector(detector)
        self._source: str | None = None  # what `load` takes

    @classmethod
    def load(cls, source: str | Path | None = None, detector: str | Detector = DEFAULT) -> "Predictor":
        """Load a network.

        Args:
            source: a run directory, a file that `export` or `pack` wrote, "compact" or "large"; None: "compact".
            detector: a name in `detectors.MODULES`, such as "builtin" or "dlib", or any function from an upright RGB
                picture to boxes, see `detectors.Detector`.

        Raises:
            KpError: if there is no such network or detector, or the network's runtime is not installed.
        """
        predictor = cls(*load_network(source), detector)
        named = str(source or "compact")
        predictor._source = named if named in WEIGHTS else str(predictor.info.path.resolve())
        return predictor

    def predict(self, image: Picture, boxes: object = None) -> list[Face]:
        """Predict the faces of one photograph; the list may be empty.

        Args:
            image: a path, a Pillow image, a Photograph, or an array (H, W), (H, W, 3) or (H, W, 4) of uint8.
            boxes: (N, 4) left, top, width, height in pixels as stored; N may be 0. None: faces are detected, and
                those that are probably no faces are discarded (`false_faces.are_faces`). Networks that
                take whole photographs, those of parts 1 and 2, return one face for every photograph, whatever it shows.

        Raises:
            KpError: if the photograph cannot be read, a box cannot be used, or the detector is not installed.
        """
        return next(self._faces([self._open((image, boxes))]))

    @overload
    def predict_batch(
        self, images: Iterable[Picture], boxes: Iterable[object] | None = None, on_error: Literal["raise"] = "raise"
    ) -> Iterator[list[Face]]: ...

    @overload
    def predict_batch(
        self, images: Iterable[Picture], boxes: Iterable[object] | None = None, *, on_error: Literal["return"]
    ) -> Iterator[list[Face] | KpError]: ...

    def predict_batch(
        self, images: Iterable[Picture], boxes: Iterable[object] | None = None, on_error: str = "raise"
    ) -> Iterator[list[Face]] | Iterator[list[Face] | KpError]:
        """Predict the faces of any number of photographs, in order.

        Photographs are decoded ahead on all cores. Through LiteRT, the core that decoded a photograph also predicts it;
        other backends get several photographs at once. A photograph is released once its faces have been yielded.

        Args:
            images: each as for `predict`; consumed as needed.
            boxes: for each photograph as for `predict`. None: all faces are detected.
            on_error: what happens to a photograph that cannot be used: "raise" raises its KpError and ends the work,
                "return" yields the KpError in place of its faces and goes on.

        Raises:
            KpError: as `predict`, once it is the photograph's turn.
            ValueError: if `on_error` has another value.
        """
        if on_error not in ("raise", "return"):
            raise ValueError(f'on_error must be "raise" or "return". Received: {on_error=}')
        return self._predict_batch(images, boxes, on_error == "raise")

    def _predict_batch(
        self, images: Iterable[Picture], boxes: Iterable[object] | None, raises: bool
    ) -> Iterator[list[Face] | KpError]:
        for result in self._results(self._open, images, boxes):
            if isinstance(result, KpError) and raises:
                raise result
            yield result if isinstance(result, KpError) else result[1]

    def track(self, frames: Iterable[Picture], rate: float = 30.0, steady: bool = True) -> Iterator[list[Face]]:
        """Predict the faces of frames one by one; each face keeps its `number`.

        The box of a face in the next frame comes from its landmarks in this one. The detector runs from time to time,
        and when a face is lost. For frames with timestamps, see `tracking.Tracker`.

        Args:
            frames: each as for `predict`; consumed as needed.
            rate: frames per second.
            steady: filter jitter out of the landmarks.

        Raises:
            KpError: as `predict`.
        """
        tracker = Tracker(self, OneEuro if steady else None)
        for place, frame in enumerate(frames):
            yield tracker.update(frame, place / rate)

    def follow(self, photograph: Photograph, boxes: np.ndarray) -> list[Face]:
        """Predict faces where `Tracker` expects them; one face for each box.

        Args:
            photograph: an upright one.
            boxes: (N, 4) or, with the angles of the faces, (N, 5).
        """
        return next(self._faces([Job(Grey.of(photograph), boxes[:, :4], boxes)]))

    def with_info(self, info: ModelInfo) -> "Predictor":
        """The same network and detector, with other settings."""
        predictor = Predictor(info, self._network, self._detector)
        predictor._source = self._source
        return predictor

    def __reduce__(self) -> tuple:
        """Pickle the source of the network instead of the network.

        Raises:
            pickle.PicklingError: if `load` did not make this predictor, or its detector cannot be pickled.
        """
        if self._source is None:
            raise pickle.PicklingError(
                "cannot pickle this Predictor: only those that Predictor.load made can be loaded"
            )
        try:
            pickle.dumps(self._detector)
        except Exception as error:  # of many kinds, as the objects of a detector decide
            advice = "define it at the top level of a module"
            raise pickle.PicklingError(f"cannot pickle the detector of this Predictor ({error}); {advice}") from error
        return _load_again, (self._source, self._detector, self.info)

    def results(
        self, images: Iterable[Picture], boxes: Iterable[object] | None = None
    ) -> Iterator[tuple[Photograph, list[Face]] | KpError]:
        """As `predict_batch`, with the photographs; one that cannot be used yields its KpError."""
        return self._results(partial(self._open, in_colour=True), images, boxes)

    def _results(
        self, open_job: Callable, images: Iterable[Picture], boxes: Iterable[object] | None
    ) -> Iterator[tuple[Any, list[Face]] | KpError]:
        items = ((image, None) for image in images) if boxes is None else zip(images, boxes, strict=True)
        # LiteRT computes a batch hardly faster than its images one by one
        way = one_by_one if self.info.path.suffix == ".tflite" else in_batches
        return way(open_job, self._faces, items)

    def _open(
        self, item: tuple[Picture, object], admit: Callable[[int], None] | None = None, in_colour: bool = False
    ) -> Job:
        """Decode a photograph, and detect its faces if it comes without boxes.

        Args:
            item: the photograph and its boxes.
            admit: see `open_photograph`.
            in_colour: decode the colours as well, also where the network alone needs the photograph.
        """
        image, boxes = item
        if boxes is not None and not in_colour and isinstance(image, str | Path):
            stored = check_boxes(str(image), boxes)
            return self._with_boxes(open_grey(Path(image), self._pixels(stored), admit), stored)
        photograph = open_photograph(image, admit=admit)
        grey, orientation = Grey.of(photograph), photograph.orientation
        if boxes is not None:
            return self._with_boxes(grey, check_boxes(photograph.name, boxes), photograph)
        if self.info.recipe.takes_whole_photographs:
            whole = np.array([(0.0, 0.0, *grey.size)])
            return Job(grey, orientation.boxes_to_stored(whole), whole, framed=True, photograph=photograph)
        found = self._detect(photograph.upright)
        found = found[~self._are_outside(grey, found)]  # by a window that hangs over the edge
        return Job(grey, orientation.boxes_to_stored(found[:, :4]), found, detected=True, photograph=photograph)

    def _with_boxes(self, grey: Grey, stored: np.ndarray, photograph: Photograph | None = None) -> Job:
        upright = grey.orientation.boxes_to_upright(stored)
        outside = self._are_outside(grey, upright)
        if outside.any():
            raise box_outside(grey.name, stored[outside.argmax()], grey.size)
        return Job(grey, stored, upright, photograph=photograph)

    def _are_outside(self, grey: Grey, boxes: np.ndarray) -> np.ndarray:
        return misses_image(crop_windows(boxes, self.info.recipe.crop_scale), np.array([grey.size]))

    def _pixels(self, boxes: np.ndarray) -> float:
        """How many pixels of the photograph at least a side of a crop's pixel covers, of boxes (N, 4)."""
        windows = crop_windows(boxes, self.info.recipe.crop_scale)
        return windows[:, 2:].min(initial=np.iinfo(np.int32).max) / max(self.info.recipe.shape)

    def _detect(self, picture: Image.Image) -> np.ndarray:
        if isinstance(self._detector, str):
            return search(self._network, self.info, picture.convert("L"))
        return self._detector(picture)

    def _faces(self, jobs: list[Job]) -> Iterator[list[Face]]:
        """The faces of each photograph; all pass through the network together."""
        outputs = [np.empty((len(job.stored), len(self.scheme), 3)) for job in jobs]
        for framed in (True, False):
            places = [(j, b) for j, job in enumerate(jobs) if job.framed == framed for b in range(len(job.stored))]
            if places:
                for (j, b), output in zip(places, self._outputs(jobs, places, framed), strict=True):
                    outputs[j][b] = output
        for job, output in zip(jobs, outputs, strict=True):
            orientation = job.grey.orientation
            points = orientation.to_stored(output[..., :2])
            confidence = confidence_of(output[..., 2], self.info.calibration)
            kept = are_faces(self.info, job.upright, output) if job.detected else np.ones(len(output), bool)
            values = zip(job.stored[kept], points[kept], confidence[kept], strict=True)
            yield [Face(*value, self.scheme, orientation=orientation) for value in values]

    def _outputs(self, jobs: list[Job], places: list[tuple[int, int]], framed: bool) -> np.ndarray:
        """Outputs (N, K, 3) in upright pixels of N boxes, each named by its job and its index in that job."""

        def crop(faces: np.ndarray, windows: np.ndarray) -> Iterator[np.ndarray]:
            for face, window in zip(faces, windows, strict=True):
                yield jobs[places[face][0]].grey.crop(window, self.info.recipe.shape)

        boxes = np.concatenate([with_angles(jobs[j].upright[b : b + 1]) for j, b in places])
        sizes = np.array([jobs[j].grey.size for j, _ in places])
        return run_cascade(self._network, self.info, crop, boxes, sizes, framed)


def _load_again(source: str, detector: str | Detector, info: ModelInfo) -> Predictor:
    """Load a predictor that was pickled."""
    return Predictor.load(source, detector).with_info(info)
