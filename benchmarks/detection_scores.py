"""How many faces a detector finds and what else it takes for faces, also at other thresholds of its score."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.detection_sets import Scene
from kp_tf.core.geometry import overlaps

MIN_OVERLAP = 0.35  # intersection over union from which a box whose centre is in a face's box finds the face
FALSE_FINDS = (0, 1, 3, 10, 30, 100)  # how many of them a threshold allows


@dataclass(frozen=True)
class Result:
    """What a detector answers for a scene: boxes (N, 4) and their scores (N,)."""

    boxes: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Judged:
    """The scores that decide at every threshold.

    Attributes:
        faces: (n,) for each face the best score of a box that finds it; -inf if none does.
        false: (m,) the scores of boxes that are no face.
    """

    faces: np.ndarray
    false: np.ndarray


def judge(scene: Scene, result: Result) -> Judged:
    """Compare the boxes with the faces of a scene.

    A box is false if its centre is in no face's box and in no ignored one, and only where all faces are known.
    """
    centres = result.boxes[:, :2] + result.boxes[:, 2:] / 2
    faces = np.full(len(scene.faces), -np.inf)
    for k, face in enumerate(scene.faces):
        found = (overlaps(result.boxes, face) >= MIN_OVERLAP) & _inside(centres, face[None])
        faces[k] = result.scores[found].max(initial=-np.inf)
    known = _inside(centres, np.concatenate([scene.faces, scene.ignored]))
    return Judged(faces, result.scores[~known] if scene.is_complete else np.zeros(0))


def _inside(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Whether points (N, 2) are in any of the boxes (M, 4): (N,)."""
    offset = points[:, None] - boxes[None, :, :2]
    return np.any(np.all((offset >= 0) & (offset <= boxes[None, :, 2:]), axis=-1), axis=-1)


def together(judged: Sequence[Judged]) -> Judged:
    """Several scenes as one."""
    return Judged(
        np.concatenate([one.faces for one in judged] or [np.zeros(0)]),
        np.concatenate([one.false for one in judged] or [np.zeros(0)]),
    )


def counts(judged: Judged, threshold: float) -> dict[str, int]:
    """Faces, those found and false finds at a threshold, which scores exceed."""
    return {
        "faces": len(judged.faces),
        "found": int((judged.faces > threshold).sum()),
        "false": int((judged.false > threshold).sum()),
    }


def thresholds_by_false_finds(false: np.ndarray) -> dict[int, float]:
    """For each of FALSE_FINDS the lowest threshold with no more false finds, from the scores (m,) of all of them.

    Where a detector has fewer even at the lowest score that was asked for, the key is missing.
    """
    scores = np.sort(false)[::-1]
    return {allowed: float(scores[allowed]) for allowed in FALSE_FINDS if allowed < len(scores)}
