"""What the pages send, with everything checked: JSON, orientations and faces."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from kp_tf.core.errors import KpError
from kp_tf.core.face import Face
from kp_tf.core.keypoints import Scheme
from kp_tf.core.orientation import Orientation
from kp_tf.data.dlib_xml import MAX_COORDINATE


@contextmanager
def parsing() -> Iterator[None]:
    """Turn whatever a malformed request causes into one error for the page."""
    try:
        yield
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise KpError(f"invalid request: {error!r}") from None


def load_json(content: str | bytes) -> Any:
    """Read JSON as the standard has it, without NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no number")

    return json.loads(content, parse_constant=refuse)


def checked(values: np.ndarray) -> np.ndarray:
    """Refuse coordinates that are missing, infinite or far from every photograph."""
    if not (np.abs(values) <= MAX_COORDINATE).all():  # also if one is NaN
        raise ValueError("coordinates that are missing or too large")
    return values


def file_name(photograph: dict) -> str:
    """The name of a photograph, which UTF-8 can hold."""
    name = str(photograph["file"])
    name.encode()  # a ValueError where half a surrogate pair could not be written
    return name


def orientation_of(photograph: dict) -> Orientation:
    """The orientation of a photograph by its width, height and EXIF's tag."""
    tag, size = int(photograph["orientation"]), (int(photograph["width"]), int(photograph["height"]))
    if tag not in range(1, 9) or not 0 < min(size) <= max(size) <= MAX_COORDINATE:
        raise ValueError(f"orientation {tag} or size {size}")
    return Orientation(size, tag)


def read_face(face: dict, scheme: Scheme) -> Face:
    """Read a face from the page's JSON, where null is a missing point or an unknown confidence."""
    values = [point or (None, None) for point in face["points"]]
    box, points = np.array(face["box"], np.float64), np.array(values, np.float64)
    confidence = np.array(face.get("confidence") or [None] * len(values), np.float64)
    shapes = box.shape, points.shape, confidence.shape
    if shapes != ((4,), (len(scheme), 2), (len(scheme),)):
        raise ValueError(f"shapes of box, points and confidence: {shapes}")
    checked(np.append(box, points[~np.isnan(points)]))
    if box[2:].min() <= 0:
        raise ValueError(f"a box of {box[2]:g} × {box[3]:g}")
    if not ((confidence >= 0) & (confidence <= 1) | np.isnan(confidence)).all():
        raise ValueError("a confidence beyond 0 to 1")
    return Face(box, points, confidence, scheme)


def face_to_stored(face: Face, orientation: Orientation) -> Face:
    """A face in pixels of the upright photograph, in pixels as stored."""
    box = orientation.boxes_to_stored(face.box[None])[0]
    return replace(face, box=box, points=orientation.to_stored(face.points), orientation=orientation)
