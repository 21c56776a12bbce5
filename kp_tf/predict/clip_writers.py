"""Writing the faces of a clip as text: JSON and CSV."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kp_tf.core.face import Face
from kp_tf.core.keypoints import Scheme
from kp_tf.core.orientation import Orientation
from kp_tf.predict.writers import DECIMALS, FACE_COLUMNS, face_to_json, face_to_row


@dataclass(frozen=True)
class FrameResult:
    """A frame and its faces.

    Attributes:
        seconds: its time.
        orientation: how it is stored.
        faces: numbered, in pixels as stored in that orientation.
    """

    seconds: float
    orientation: Orientation
    faces: Sequence[Face]


def as_json(file: str, frames: Sequence[FrameResult], scheme: Scheme, network: str) -> str:
    """One JSON text: what the points are, the size of the clip, then each frame with its time and faces.

    A frame of another size or orientation than the first states its own.
    """
    first, listed = frames[0].orientation, []
    for frame in frames:
        size = {} if frame.orientation == first else _size_to_json(frame.orientation)
        faces = [face_to_json(face) for face in frame.faces]
        listed.append({"seconds": round(frame.seconds, 4), **size, "faces": faces})
    content = {"network": network, "names": scheme.names, "file": file, **_size_to_json(first), "frames": listed}
    return json.dumps(content, ensure_ascii=False) + "\n"


def as_csv(frames: Sequence[FrameResult], scheme: Scheme) -> str:
    """CSV with one row per point: frame from 0, seconds, number of the face, name of the point, x, y, confidence."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["frame", "seconds", "face", "point", "x", "y", "confidence"])
    for index, frame in enumerate(frames):
        for face in frame.faces:
            for name, (x, y), confidence in zip(scheme.names, face.points, face.confidence, strict=True):
                known = "" if np.isnan(confidence) else f"{confidence:.3f}"
                point = [name, f"{x:.{DECIMALS}f}", f"{y:.{DECIMALS}f}", known]
                writer.writerow([index, f"{frame.seconds:.4f}", face.number, *point])
    return text.getvalue()


def as_faces_csv(frames: Sequence[FrameResult]) -> str:
    """CSV with one row per face: frame from 0, seconds, number of the face, and FACE_COLUMNS."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["frame", "seconds", "face", *FACE_COLUMNS])
    for index, frame in enumerate(frames):
        when = [index, f"{frame.seconds:.4f}"]
        writer.writerows([*when, face.number, *face_to_row(face)] for face in frame.faces)
    return text.getvalue()


def _size_to_json(orientation: Orientation) -> dict:
    width, height = orientation.stored_size
    return {"width": width, "height": height, "orientation": orientation.tag}
