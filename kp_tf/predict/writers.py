"""Writing faces as text: JSON, CSV, 300-W's .pts and dlib's XML."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from kp_tf.core.errors import KpError
from kp_tf.core.face import Face
from kp_tf.core.keypoints import Scheme

FORMATS = ("json", "csv", "pts", "xml")
CLIP_FORMATS = ("json",)
DECIMALS = 2  # of a pixel

FacesByFile: TypeAlias = Sequence[tuple[str, Sequence[Face]]]
"""File names, each with its faces."""


def as_json(results: FacesByFile, scheme: Scheme, network: str) -> str:
    """One JSON text: what the points are, then each photograph with its faces."""
    content = {
        "network": network,
        "names": scheme.names,
        "groups": dict(scheme.groups),
        "mirror": scheme.flip_indices,
        "photographs": [{"file": file, "faces": [face_to_json(face) for face in faces]} for file, faces in results],
    }
    return json.dumps(content, ensure_ascii=False) + "\n"


def face_to_json(face: Face) -> dict:
    """A face for JSON, with its number if it has one. A point or confidence that is missing becomes null."""
    points = [None if np.isnan(point).any() else point.tolist() for point in face.points.round(DECIMALS)]
    content = {"box": face.box.round(DECIMALS).tolist(), "points": points}
    if face.number is not None:
        content["number"] = face.number
    confidence = [None if np.isnan(value) else round(float(value), 3) for value in face.confidence]  # no NaN in JSON
    return content | {"confidence": confidence}


def as_csv(results: FacesByFile, scheme: Scheme) -> str:
    """CSV with one row per point: file, number of the face from 1, name of the point, x, y, confidence."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "face", "point", "x", "y", "confidence"])
    for file, faces in results:
        for number, face in enumerate(faces, 1):
            for name, (x, y), confidence in zip(scheme.names, face.points, face.confidence, strict=True):
                known = "" if np.isnan(confidence) else f"{confidence:.3f}"
                writer.writerow([file, number, name, f"{x:.{DECIMALS}f}", f"{y:.{DECIMALS}f}", known])
    return text.getvalue()


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
    from kp_tf.data.dlib_xml import check_name  # an XML parser, which the other formats do not need

    root, path = folder.resolve(), Path(file).resolve()
    if not path.is_relative_to(root):
        raise KpError(f"--format xml: {file} is not in the folder of the XML, {folder}, or below it")
    name = path.relative_to(root).as_posix()
    check_name(name)
    return name


def write_xml(path: Path, results: FacesByFile, scheme: Scheme) -> None:
    """Write dlib's XML in whole pixels, including the photographs without a face.

    Raises:
        KpError: as `name_in`, or if the file cannot be written.
    """
    from kp_tf.data.dlib_xml import write_dlib_xml
    from kp_tf.data.samples import Samples

    names = [name_in(path.parent, file) for file, _ in results]
    pairs = [(name, face) for name, (_, faces) in zip(names, results, strict=True) for face in faces]
    boxes = np.array([face.box for _, face in pairs]).reshape(-1, 4)
    points = np.array([face.points for _, face in pairs]).reshape(-1, len(scheme), 2)
    files = tuple(name for name, _ in pairs)
    write_dlib_xml(path, Samples(path.parent, files, boxes, points, scheme, files), names)
