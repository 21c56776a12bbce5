"""Faces from frame to frame: found once, followed by their own points, steadied, each with a number that stays."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kp_tf.core.geometry import Framing, crop_windows, empty, overlaps
from kp_tf.core.images import Photograph, Picture, open_photograph
from kp_tf.predict.predictor import Face, Predictor

AGAIN = 2.0  # seconds between two looks of the detector, while all is well
SOON = 0.2  # the same while there is no face, or one is in doubt or hidden
FALL = 0.6  # a face is in doubt below this part of the confidence that its track has had
PATIENCE = 1.0  # seconds that a face may be in doubt or hidden before its number is given up
SAME = 0.3  # intersection over union above which two boxes are of one face
JUMP = 1.2  # a face does not become so many times larger or smaller in one frame; what is none shrinks to nothing
ALONE = 0.05  # the same, below which a face's speed can be trusted
KEPT = (
    0.01  # a box that moves by less of its width stays: on the same pixels a face that keeps still is found again
)
# chosen on clips of training faces: calm at rest, and next to no more error in fast motion than without a filter
REST = 0.5  # Hz: the filter's cutoff on a face that does not move
SPEED = 100.0  # Hz more for each width of the face in a second
OF_SPEED = 4.0  # Hz: the cutoff of the filter of the speed itself


class OneEuro:
    """A low-pass filter whose cutoff rises with speed: calm at rest, little lag in motion.

    Casiez, Roussel, Vogel: 1 € Filter, CHI 2012, doi:10.1145/2207676.2208639. The speed is that of each point, in
    widths of the face, so that one setting serves all sizes.
    """

    def __init__(self, rest: float = REST, speed: float = SPEED, of_speed: float = OF_SPEED) -> None:
        """Args: cutoffs in Hz: at rest, more for each width a second, and of the filter of the speed itself."""
        self._rest, self._speed, self._of_speed = rest, speed, of_speed
        self._last = None

    def __call__(self, points: np.ndarray, seconds: float, width: float) -> np.ndarray:
        """Points (K, 2) in pixels, when, and the face's width in pixels, to steadied points (K, 2)."""
        if self._last is None:
            self._last = seconds, points, np.zeros_like(points)
            return points
        before, steady, speed = self._last
        passed = seconds - before
        if passed <= 0:
            return steady
        now = (points - steady) / (passed * width)
        speed = speed + _share(self._of_speed, passed) * (now - speed)
        cutoff = self._rest + self._speed * np.linalg.norm(speed, axis=1, keepdims=True)
        steady = steady + _share(cutoff, passed) * (points - steady)
        self._last = seconds, steady, speed
        return steady


def _share(cutoff: np.ndarray | float, passed: float) -> np.ndarray | float:
    """How much of a new value a first order low-pass takes."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * passed))


@dataclass
class _Track:
    """A face on its way, in upright pixels.

    Attributes:
        number: it keeps.
        framing: from points to the box of the next frame.
        box: (4,) where to look next.
        steady: its filter, if there is one.
        best: the confidence it has had, slowly forgotten; NaN where the network tells none.
        seen: seconds of the last frame in which it was beyond doubt.
        speed: (2,) pixels in a second, learned while no other face is near.
        face: as last seen.
    """

    number: int
    framing: Framing
    box: np.ndarray
    steady: OneEuro | None
    best: float
    seen: float
    speed: np.ndarray
    face: Face


class Tracker:
    """Frames one by one to faces that keep their numbers; `Predictor.track` is the short way to it."""

    def __init__(self, predictor: Predictor, steady: Callable[[], OneEuro] | None = OneEuro) -> None:
        """Args: predictor: finds and looks. steady: makes each face's filter; None leaves the points as found."""
        self._first = predictor
        run = predictor.run
        # one look is enough where the box comes from points
        once = replace(run, config={**run.config, "looks": 1, "framing": None})
        self._next = predictor.with_run(once)
        self._steady, self._tracks, self._count = steady, [], 0
        self._looked = self._now = -np.inf

    def update(self, frame: Picture, seconds: float) -> list[Face]:
        """The faces of the next frame, by their numbers; those in doubt or hidden are left out.

        Args:
            frame: as for `Predictor.predict`.
            seconds: when it was taken; frames come in order.

        Raises:
            KpError: as `Predictor.predict`.
        """
        photograph = open_photograph(frame)
        upright = Photograph(photograph.name, photograph.upright)
        before, self._now = self._now, seconds
        self._follow(upright, before, seconds)
        well = self._tracks and all(track.seen == seconds for track in self._tracks)
        if seconds - self._looked >= (AGAIN if well else SOON) or self._first.run.framing:
            self._looked = seconds
            self._find(upright, seconds)
        self._tracks = [track for track in self._tracks if seconds - track.seen <= PATIENCE]
        faces = []
        for track in sorted(self._tracks, key=lambda track: track.number):
            if track.seen == seconds:
                face, points = track.face, track.face.points
                if track.steady:
                    points = track.steady(points, seconds, face.box[2])
                box = photograph.turn.boxes_to_stored(face.box[None])[0]
                points = photograph.turn.to_stored(points)
                faces.append(replace(face, box=box, points=points, number=track.number))
        return faces

    def _follow(self, upright: Photograph, before: float, seconds: float) -> None:
        """Look where each face ought to be."""
        passed = seconds - before
        for track in self._tracks:
            if track.seen < before:  # hidden or in doubt: it goes on as it went
                track.box = track.box + np.append(track.speed * passed, (0, 0))
        windows = crop_windows(np.array([track.box for track in self._tracks]).reshape(-1, 4), self._scale)
        inside = ~empty(windows, [upright.upright.size])
        tracks = [track for track, there in zip(self._tracks, inside, strict=True) if there]
        found = self._next.predict(upright, [track.box for track in tracks])
        boxes = [_around(track, face) for track, face in zip(tracks, found, strict=True)]
        # a face goes behind another: both tracks would then hold the one in front, which moves as it did
        strayed = [
            _strayed(track, box, passed, track.seen < before) for track, box in zip(tracks, boxes, strict=True)
        ]
        taken = []
        for k in np.argsort(strayed, kind="stable"):
            track, face, box = tracks[k], found[k], boxes[k]
            hidden = any(overlaps(other[None], box)[0] > SAME for other in taken)
            lost = track.seen < before and overlaps(track.box[None], box)[0] < SAME
            jumped = not 1 / JUMP < box[2] / track.box[2] < JUMP
            if hidden or lost or jumped or _mean(face) < FALL * track.best:
                continue
            near = any(overlaps(other.box[None], box)[0] > ALONE for other in self._tracks if other is not track)
            if not near and track.seen == before:
                moved = (_centre(box) - _centre(track.box)) / passed
                track.speed = track.speed + _share(1.0, passed) * (moved - track.speed)
            taken.append(box)
            self._see(track, face, box, seconds)

    @property
    def _scale(self) -> float:
        return self._first.run.recipe.crop_scale

    def _see(self, track: _Track, face: Face, box: np.ndarray, seconds: float) -> None:
        track.best = np.fmax(_mean(face), 0.99 * track.best)
        track.face, track.box, track.seen = replace(face, box=box), box, seconds

    def _find(self, upright: Photograph, seconds: float) -> None:
        """Let the detector look: lost faces are taken up where they overlap one found, others are new."""
        for face in self._first.predict(upright):
            framing = self._first.run.face or Framing.of(
                *(value[None] for value in (face.box, face.box, face.points))
            )
            steady = self._steady and self._steady()
            track = _Track(0, framing, face.box, steady, _mean(face), seconds, np.zeros(2), face)
            track.box = box = _around(track, face)
            shared = overlaps(np.array([other.box for other in self._tracks]).reshape(-1, 4), box)
            if not (shared > SAME).any():
                self._count += 1
                track.number = self._count
                self._tracks.append(track)
                self._see(track, face, box, seconds)
            elif (known := self._tracks[shared.argmax()]).seen < seconds:
                self._see(known, face, box, seconds)


def _around(track: _Track, face: Face) -> np.ndarray:
    box = track.framing.around(face.points[None], track.box[None])[0]
    return track.box if np.abs(box - track.box).max() < KEPT * track.box[2] else box


def _strayed(track: _Track, box: np.ndarray, passed: float, hidden: bool) -> float:
    """How far a track is from where its speed would have it, in widths; a hidden one's box has moved already."""
    expected = _centre(track.box) + (0 if hidden else track.speed * passed)
    return float(np.linalg.norm(_centre(box) - expected) / track.box[2])


def _centre(box: Sequence[float]) -> np.ndarray:
    return np.asarray(box[:2]) + np.asarray(box[2:]) / 2


def _mean(face: Face) -> float:
    return float(face.confidence.mean())
