"""Tracking faces from frame to frame: detected once, then followed by their landmarks; each keeps its number."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from kp_tf.core.face import Face
from kp_tf.core.geometry import crop_windows, misses_image, overlaps
from kp_tf.core.images import Photograph, Picture, open_photograph
from kp_tf.core.mean_face import MeanFace
from kp_tf.predict.confidence import UNCALIBRATED

if TYPE_CHECKING:
    from kp_tf.predict.predictor import Predictor

DETECT_EVERY = 2.0  # seconds, while all faces are tracked with confidence
DETECT_SOON = 0.2  # seconds, while there is no face, or one is lost
MIN_RELATIVE_CONFIDENCE = 0.6  # of the confidence that the track has had; below it the face is lost
MAX_LOST = 1.0  # seconds after which the number of a lost face is given up
SAME_FACE = 0.3  # intersection over union above which two boxes are of one face
MAX_GROWTH = 1.2  # of a face in one frame; a track of something else shrinks to nothing
ISOLATED = 0.05  # intersection over union below which another face does not disturb the speed of a face
DEFAULT_RATE = 30  # frames a second, if a clip does not state it
STILL = 0.01  # of the box's width: smaller moves are ignored, so that the same pixels give the same landmarks
# chosen on clips of training faces: steady at rest, and hardly more error in fast motion than without a filter
MIN_CUTOFF = 0.5  # Hz, for a face that does not move
SPEED_COEFFICIENT = 100.0  # Hz for each face width per second
SPEED_CUTOFF = 4.0  # Hz, of the filter of the speed itself


class OneEuro:
    """The 1 € filter: a low-pass filter whose cutoff rises with speed, so that it smooths at rest and lags little.

    Casiez, Roussel, Vogel: 1 € Filter, CHI 2012, doi:10.1145/2207676.2208639. The speed is that of each point in widths
    of the face, so that one setting fits faces of all sizes.
    """

    def __init__(
        self,
        min_cutoff: float = MIN_CUTOFF,
        speed_coefficient: float = SPEED_COEFFICIENT,
        speed_cutoff: float = SPEED_CUTOFF,
    ) -> None:
        """Set the cutoff at rest in Hz, its rise in Hz per face width a second, and the cutoff of the speed in Hz."""
        self._min_cutoff, self._coefficient, self._speed_cutoff = min_cutoff, speed_coefficient, speed_cutoff
        self._last: tuple[float, np.ndarray, np.ndarray] | None = None

    def __call__(self, points: np.ndarray, seconds: float, width: float) -> np.ndarray:
        """Filter the points of the next frame.

        Args:
            points: (K, 2) in pixels.
            seconds: the time of the frame.
            width: of the face in pixels.

        Returns:
            (K, 2) in pixels.
        """
        if self._last is None:
            self._last = seconds, points, np.zeros_like(points)
            return points
        before, filtered, speed = self._last
        passed = seconds - before
        if passed <= 0:
            return filtered
        now = (points - filtered) / (passed * width)
        speed = speed + _weight(self._speed_cutoff, passed) * (now - speed)
        cutoff = self._min_cutoff + self._coefficient * np.linalg.norm(speed, axis=1, keepdims=True)
        filtered = filtered + _weight(cutoff, passed) * (points - filtered)
        self._last = seconds, filtered, speed
        return filtered


def _weight(cutoff: np.ndarray | float, passed: float) -> np.ndarray | float:
    """The weight of a new value in a first-order low-pass filter with this cutoff in Hz, `passed` seconds later."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * passed))


@dataclass
class _Track:
    """A tracked face, in upright pixels.

    Attributes:
        number: of the face, the same in all frames.
        mean_face: turns its landmarks into the box for the next frame.
        box: (4,) where to predict it next; (5,) with its angle if the network's windows are rotated.
        filter: of its landmarks; None leaves them as predicted.
        confidence: the best mean so far, slowly decaying; NaN if the network has no confidence.
        seen: the time of the last frame in which the face was not lost.
        speed: (2,) pixels per second, learned while no other face is near.
        face: the last prediction.
    """

    number: int
    mean_face: MeanFace
    box: np.ndarray
    filter: OneEuro | None
    confidence: float
    seen: float
    speed: np.ndarray
    face: Face


def rising_time(seconds: float | None, last: float, interval: float) -> float:
    """The time of the next frame: as stated, or `interval` after the last if it is missing or does not rise."""
    if seconds is not None and math.isfinite(seconds) and seconds > last:
        return seconds
    return max(last + interval, 0.0)


class Tracker:
    """Follows faces through frames that come one by one. `Predictor.track` is the short form."""

    def __init__(self, predictor: "Predictor", make_filter: Callable[[], OneEuro] | None = OneEuro) -> None:
        """Start without faces.

        Args:
            predictor: detects faces and predicts their landmarks.
            make_filter: makes the filter of each face; None leaves the landmarks as predicted.
        """
        self._detecting = predictor
        # a single pass is enough, because the box comes from landmarks
        recipe, calibration = replace(predictor.info.recipe, num_passes=1), predictor.info.calibration
        # the confidence of a network that is not calibrated still tells a lost face from one that is seen
        metrics = predictor.info.metrics | {"calibration": calibration or UNCALIBRATED}
        info = replace(predictor.info, recipe=recipe, framing=None, metrics=metrics)
        self._following, self._is_calibrated = predictor.with_info(info), calibration is not None
        self._make_filter = make_filter
        self._tracks: list[_Track] = []
        self._count = 0
        self._detected = self._now = -np.inf
        self._size: tuple[int, int] | None = None

    def update(self, frame: Picture, seconds: float) -> list[Face]:
        """The faces of the next frame, ordered by number; lost ones are left out.

        Args:
            frame: as for `Predictor.predict`.
            seconds: its time; one that is not after the last frame's is counted by `DEFAULT_RATE`.

        Raises:
            KpError: as `Predictor.predict`.
        """
        photograph = open_photograph(frame)
        upright = Photograph(photograph.name, photograph.upright)
        before = self._now
        self._now = seconds = rising_time(seconds, before, 1 / DEFAULT_RATE)
        if self._size not in (None, upright.upright.size):
            self._rescale(np.divide(upright.upright.size, self._size))
        self._size = upright.upright.size
        self._follow(upright, before, seconds)
        all_seen = self._tracks and all(track.seen == seconds for track in self._tracks)
        wait = DETECT_EVERY if all_seen else DETECT_SOON
        if seconds - self._detected >= wait or self._detecting.info.framing:
            self._detected = seconds
            self._detect(upright, seconds)
        self._tracks = [track for track in self._tracks if seconds - track.seen <= MAX_LOST]
        seen = [track for track in self._tracks if track.seen == seconds]
        faces = [_result(track, photograph, seconds) for track in sorted(seen, key=lambda track: track.number)]
        if self._is_calibrated:
            return faces
        return [replace(face, confidence=np.full(len(face.points), np.nan)) for face in faces]

    def _rescale(self, scale: np.ndarray) -> None:
        """Move the tracks into frames whose width and height are larger by these factors, and detect anew."""
        for track in self._tracks:
            track.box = np.append(track.box[:4] * np.tile(scale, 2), track.box[4:])
            track.speed = track.speed * scale
            track.filter = self._make_filter and self._make_filter()
        self._detected = -np.inf

    def _follow(self, upright: Photograph, before: float, seconds: float) -> None:
        """Predict each face at the place where it is expected in this frame."""
        passed = seconds - before
        for track in self._tracks:
            if track.seen < before:  # a lost face is assumed to keep its speed
                track.box = np.append(track.box[:2] + track.speed * passed, track.box[2:])
        boxes = np.array([track.box for track in self._tracks]) if self._tracks else np.empty((0, 4))
        windows = crop_windows(boxes, self._detecting.info.recipe.crop_scale)
        inside = ~misses_image(windows, np.array([upright.upright.size]))
        tracks = [track for track, is_inside in zip(self._tracks, inside, strict=True) if is_inside]
        faces = self._following.follow(upright, boxes[inside])
        boxes = [self._box_around(track, face) for track, face in zip(tracks, faces, strict=True)]
        # When a face passes behind another, both tracks end up on the one in front, which moves on as before. So the
        # track that deviates least from its own speed keeps the face.
        strayed = [_strayed(track, box, passed, track.seen < before) for track, box in zip(tracks, boxes, strict=True)]
        taken: list[np.ndarray] = []
        for k in np.argsort(strayed, kind="stable"):
            if self._is_plausible(tracks[k], faces[k], boxes[k], before, taken):
                self._learn_speed(tracks[k], boxes[k], before, passed)
                taken.append(boxes[k])
                _see(tracks[k], faces[k], boxes[k], seconds)

    def _is_plausible(
        self, track: _Track, face: Face, box: np.ndarray, before: float, taken: Sequence[np.ndarray]
    ) -> bool:
        """Whether a prediction still shows the face of the track."""
        is_hidden = any(overlaps(other[None], box)[0] > SAME_FACE for other in taken)
        has_gone = track.seen < before and overlaps(track.box[None], box)[0] < SAME_FACE
        has_size = 1 / MAX_GROWTH < box[2] / track.box[2] < MAX_GROWTH
        is_doubtful = _mean_confidence(face) < MIN_RELATIVE_CONFIDENCE * track.confidence
        return has_size and not (is_hidden or has_gone or is_doubtful)

    def _learn_speed(self, track: _Track, box: np.ndarray, before: float, passed: float) -> None:
        others = [other.box for other in self._tracks if other is not track]
        is_isolated = not any(overlaps(other[None], box)[0] > ISOLATED for other in others)
        if is_isolated and track.seen == before and passed > 0:
            moved = (_centre(box) - _centre(track.box)) / passed
            track.speed = track.speed + _weight(1.0, passed) * (moved - track.speed)

    def _detect(self, upright: Photograph, seconds: float) -> None:
        """Run the detector. A detection that overlaps a lost face is that face again; one that overlaps none is new."""
        for face in self._detecting.predict(upright):
            own = [value[None] for value in (face.box, face.box, face.points)]
            mean_face = self._detecting.info.mean_face or MeanFace.from_faces(*own)
            new_filter = self._make_filter and self._make_filter()
            confidence = _mean_confidence(face)
            track = _Track(0, mean_face, face.box, new_filter, confidence, seconds, np.zeros(2), face)
            track.box = box = self._box_around(track, face)
            shared = overlaps(np.array([other.box[:4] for other in self._tracks]).reshape(-1, 4), box)
            if not (shared > SAME_FACE).any():
                self._count += 1
                track.number = self._count
                self._tracks.append(track)
                _see(track, face, box, seconds)
            elif (known := self._tracks[shared.argmax()]).seen < seconds:
                _see(known, face, box, seconds)

    def _box_around(self, track: _Track, face: Face) -> np.ndarray:
        """The box for the next frame, with the angle of the face if the network's windows are rotated."""
        if not self._detecting.info.recipe.rotated_windows:
            box = track.mean_face.boxes_around(face.points[None], track.box[None])[0]
            return track.box if np.abs(box - track.box).max() < STILL * track.box[2] else box
        box = track.mean_face.rotated_boxes_around(face.points[None], track.box[None])[0]
        if len(track.box) < 5:  # the detector's
            return box
        turned = abs((box[4] - track.box[4] + 180) % 360 - 180)
        is_still = np.abs((box - track.box)[:4]).max() < STILL * track.box[2] and turned < np.degrees(2 * STILL)
        return track.box if is_still else box


def _see(track: _Track, face: Face, box: np.ndarray, seconds: float) -> None:
    track.confidence = np.fmax(_mean_confidence(face), 0.99 * track.confidence)
    track.face, track.box, track.seen = replace(face, box=box[:4]), box, seconds


def _result(track: _Track, photograph: Photograph, seconds: float) -> Face:
    """The filtered face of a track, in pixels as stored."""
    face, points = track.face, track.face.points
    if track.filter:
        points = track.filter(points, seconds, face.box[2])
    orientation = photograph.orientation
    stored = {"box": orientation.boxes_to_stored(face.box[None])[0], "points": orientation.to_stored(points)}
    return replace(face, **stored, number=track.number, orientation=orientation)


def _strayed(track: _Track, box: np.ndarray, passed: float, was_lost: bool) -> float:
    """How far a track deviates from its speed, in widths of the face; the box of a lost track was moved already."""
    expected = _centre(track.box) + (0 if was_lost else track.speed * passed)
    return float(np.linalg.norm(_centre(box) - expected) / track.box[2])


def _centre(box: np.ndarray) -> np.ndarray:
    return box[:2] + box[2:4] / 2


def _mean_confidence(face: Face) -> float:
    return float(face.confidence.mean())
