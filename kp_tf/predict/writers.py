"""Writing faces as text: JSON, CSV, 300-W's .pts and dlib's XML."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kp_tf.core.errors import KpError
from kp_tf.core.face import Face
from kp_tf.core.keypoints import IBUG68, Scheme
from kp_tf.core.orientation import Orientation

FORMATS = ("json", "csv", "pts", "xml")
CLIP_FORMATS = ("json", "csv")
DECIMALS = 2  # of a pixel
RATIOS = ("left_eye_aspect_ratio", "right_eye_aspect_ratio", "mouth_aspect_ratio")
FACE_COLUMNS = ("left", "top", "width", "height", "confidence", "yaw", "pitch", "roll", *RATIOS)


@dataclass(frozen=True)
class Result:
    """A photograph and its faces.

    Attributes:
        file: the name of the photograph.
        orientation: how it is stored.
        faces: in pixels as stored.
    """

    file: str
    orientation: Orientation
    faces: Sequence[Face]


def as_json(results: Sequence[Result], scheme: Scheme, network: str) -> str:
    """One JSON text: what the points are, then each photograph with its faces."""
    content = {
        "network": network,
        "names": scheme.names,
        "groups": dict(scheme.groups),
        "mirror": scheme.flip_indices,
        "photographs": [_result_to_json(result) for result in results],
    }
    return json.dumps(content, ensure_ascii=False) + "\n"


def _result_to_json(result: Result) -> dict:
    width, height = result.orientation.stored_size
    size = {"width": width, "height": height, "orientation": result.orientation.tag}
    return {"file": result.file, **size, "faces": [face_to_json(face) for face in result.faces]}


def face_to_json(face: Face) -> dict:
    """A face for JSON, with its number if it has one and, of the 68 points, its pose and aspect ratios.

    A point, confidence, angle or ratio that is missing becomes null.
    """
    points = [None if np.isnan(point).any() else point.tolist() for point in face.points.round(DECIMALS)]
    content = {"box": face.box.round(DECIMALS).tolist(), "points": points}
    if face.number is not None:
        content["number"] = face.number
    content["confidence"] = [_rounded(value) for value in face.confidence]
    if face.scheme == IBUG68:
        pose = face.pose._asdict()
        content["pose"] = None if np.isnan(face.pose).any() else {name: round(pose[name], 1) + 0.0 for name in pose}
        content["eye_aspect_ratio"] = [_rounded(value) for value in face.eye_aspect_ratio]
        content["mouth_aspect_ratio"] = _rounded(face.mouth_aspect_ratio)
    return content


def _rounded(value: float) -> float | None:
    """Three decimals; None for NaN, which JSON does not have."""
    return None if np.isnan(value) else round(float(value), 3)


def as_csv(results: Sequence[Result], scheme: Scheme) -> str:
    """CSV with one row per point: file, number of the face from 1, name of the point, x, y, confidence."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "face", "point", "x", "y", "confidence"])
    for result in results:
        for number, face in enumerate(result.faces, 1):
            for name, (x, y), confidence in zip(scheme.names, face.points, face.confidence, strict=True):
                known = "" if np.isnan(confidence) else f"{confidence:.3f}"
                writer.writerow([result.file, number, name, f"{x:.{DECIMALS}f}", f"{y:.{DECIMALS}f}", known])
    return text.getvalue()


def as_faces_csv(results: Sequence[Result]) -> str:
    """CSV with one row per face: its box, mean confidence and, of the 68 points, pose and aspect ratios."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "face", *FACE_COLUMNS])
    for result in results:
        writer.writerows([result.file, number, *face_to_row(face)] for number, face in enumerate(result.faces, 1))
    return text.getvalue()


def face_to_row(face: Face) -> list[str]:
    """The texts for FACE_COLUMNS; empty for what is missing."""
    values = [*((value, DECIMALS) for value in face.box), (face.confidence.mean(), 3)]
    if face.scheme == IBUG68:
        values += [(angle, 1) for angle in face.pose]
        values += [(ratio, 3) for ratio in (*face.eye_aspect_ratio, face.mouth_aspect_ratio)]
    texts = ["" if np.isnan(value) else f"{value:z.{decimals}f}" for value, decimals in values]
    return texts + [""] * (len(FACE_COLUMNS) - len(texts))


def as_pts(face: Face) -> str:
    """300-W's .pts, which counts pixels from 1.

    Raises:
        KpError: if a point is missing, which this format cannot express.
    """
    from kp_tf.data.formats.pts import as_text  # what reads photographs, which the other formats do not need

    return as_text(face.points, face.scheme.names, DECIMALS)


def name_in(folder: Path, file: str) -> str:
    """The name of a file relative to a folder, as dlib's XML in that folder names it.

    Raises:
        KpError: if the file lies outside the folder, where readers of the XML would not find it, or if XML cannot hold
            the name.
    """
    from kp_tf.data.names import check_name

    root, path = folder.resolve(), Path(file).resolve()
    if not path.is_relative_to(root):
        raise KpError(f"--format xml: {file} is not in the folder of the XML, {folder}, or below it")
    name = path.relative_to(root).as_posix()
    check_name(name)
    return name


def write_xml(path: Path, results: Sequence[Result], scheme: Scheme) -> None:
    """Write dlib's XML in whole pixels, including the photographs without a face.

    Raises:
        KpError: as `name_in`, or if the file cannot be written.
    """
    from kp_tf.data.dlib_xml import write_dlib_xml  # an XML parser, which the other formats do not need
    from kp_tf.data.samples import Samples

    names = [name_in(path.parent, result.file) for result in results]
    pairs = [(name, face) for name, result in zip(names, results, strict=True) for face in result.faces]
    boxes = np.array([face.box for _, face in pairs]).reshape(-1, 4)
    points = np.array([face.points for _, face in pairs]).reshape(-1, len(scheme), 2)
    files = tuple(name for name, _ in pairs)
    write_dlib_xml(path, Samples(path.parent, files, boxes, points, scheme, files), names)
