"""How many of the labelled faces a detector finds, and what it finds besides."""

from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from kp_tf.core.centres import Centres, square_overlaps
from kp_tf.training.detector.pictures import Picture

MIN_OVERLAP = 0.35  # intersection over union from which a box is that of a face
THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # scores at which faces are counted
PER_SET = 80  # pictures of each set

Find = Callable[[Image.Image], Centres]


class Count(NamedTuple):
    """Faces, those found, boxes that are none, and the errors of the found ones' angles in degrees."""

    faces: int
    found: int
    false: int
    angles: np.ndarray


def match(picture: Picture, centres: Centres) -> Count:
    """Count the faces of a picture. A box is a face's if its centre is in the face's and their overlap is large; a
    face is found once, and what touches a face or an ignored place isn't false."""
    faces, found = picture.boxes.faces, centres.faces
    inside = np.abs(faces[:, None, :2] - found[None, :, :2]).max(axis=-1) <= faces[:, None, 2] / 2
    same = inside & (square_overlaps(faces, found) >= MIN_OVERLAP)
    known = np.concatenate([faces[:, :3], picture.boxes.ignored])
    near = (np.abs(known[:, None, :2] - found[None, :, :2]).max(axis=-1) <= known[:, None, 2] / 2).any(axis=0)
    false = int((~near).sum()) if picture.is_complete else 0
    turns = [found[row.argmax(), 3] - face[3] for face, row in zip(faces, same, strict=True) if row.any()]
    return Count(len(faces), int(same.any(axis=1).sum()), false, np.abs((np.array(turns) + 180) % 360 - 180))


def count_by_set(find: Find, pictures: dict[str, list[Picture]]) -> dict[str, dict[float, Count]]:
    """For each set and threshold, the counts over its pictures."""
    result = {}
    for name, each in pictures.items():
        counts = defaultdict(list)
        for picture in each:
            centres = find(Image.fromarray(picture.grey))
            for threshold in THRESHOLDS:
                kept = centres.scores >= threshold
                counts[threshold].append(match(picture, Centres(centres.faces[kept], centres.scores[kept])))
        result[name] = {
            threshold: Count(
                sum(c.faces for c in some),
                sum(c.found for c in some),
                sum(c.false for c in some),
                np.concatenate([c.angles for c in some]),
            )
            for threshold, some in counts.items()
        }
    return result


def lines(counts: dict[str, dict[float, Count]]) -> list[str]:
    """A line for each set: found at each threshold, false boxes, and the median error of the angle."""
    texts = []
    for name, by_threshold in counts.items():
        cells = [
            f"{threshold}: {100 * c.found / max(c.faces, 1):.1f} % + {c.false}" for threshold, c in by_threshold.items()
        ]
        angles = by_threshold[THRESHOLDS[0]].angles
        error = np.median(angles) if len(angles) else np.nan
        faces = by_threshold[THRESHOLDS[0]].faces
        texts.append(f"{name} ({faces}): {', '.join(cells)}; angle ±{error:.1f}°")
    return texts
