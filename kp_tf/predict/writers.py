"""Faces that were found to files: JSON, CSV, 300-W's .pts, dlib's XML, and pictures with points drawn in."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from kp_tf.core.errors import KpError
from kp_tf.core.files import replacing
from kp_tf.core.images import Photograph
from kp_tf.core.keypoints import Scheme
from kp_tf.predict.predictor import Face

FORMATS = ("json", "csv", "pts", "xml")
# Okabe and Ito's colours, which colour-blind people tell apart
COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#F0E442", "#D55E00", "#CC79A7")
DECIMALS = 2  # of a pixel

Found = Sequence[tuple[str, Sequence[Face]]]
"""Files' names and their faces."""


def as_json(found: Found, scheme: Scheme, network: str) -> str:
    """All faces as one JSON text: what the points are, then each photograph with its faces."""
    content = {
        "network": network,
        "names": scheme.names,
        "groups": dict(scheme.groups),
        "mirror": scheme.mirror,
        "photographs": [{"file": file, "faces": [plain(face) for face in faces]} for file, faces in found],
    }
    return json.dumps(content, ensure_ascii=False) + "\n"


def plain(face: Face) -> dict:
    """A face as JSON has it; its number only where it has one; null where a point or its confidence is missing."""
    points = [None if np.isnan(point).any() else point.tolist() for point in face.points.round(DECIMALS)]
    rounded = {"box": face.box.round(DECIMALS).tolist(), "points": points}
    if face.number is not None:
        rounded["number"] = face.number
    # JSON knows no NaN
    return rounded | {"confidence": [None if np.isnan(c) else round(float(c), 3) for c in face.confidence]}


def as_csv(found: Found, scheme: Scheme) -> str:
    """One row for each point: file, number of the face from 1, name of the point, x, y, confidence."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "face", "point", "x", "y", "confidence"])
    for file, faces in found:
        for number, face in enumerate(faces, 1):
            for name, (x, y), confidence in zip(scheme.names, face.points, face.confidence, strict=True):
                known = "" if np.isnan(confidence) else f"{confidence:.3f}"
                writer.writerow([file, number, name, f"{x:.{DECIMALS}f}", f"{y:.{DECIMALS}f}", known])
    return text.getvalue()


def as_pts(face: Face) -> str:
    """300-W's format, which counts pixels from 1.

    Raises:
        KpError: if a point is missing, which this format cannot tell.
    """
    if (missing := np.isnan(face.points).any(axis=1)).any():
        name = face.scheme.names[missing.argmax()]
        raise KpError(f".pts: expected all points of the face, found point {name} missing")
    rows = "".join(f"{x:.{DECIMALS}f} {y:.{DECIMALS}f}\n" for x, y in face.points + 1)
    return f"version: 1\nn_points: {len(face.points)}\n{{\n{rows}}}\n"


def names_in(folder: Path, files: Sequence[str]) -> list[str]:
    """The files' names from a folder, as dlib's XML in it would have them.

    Raises:
        KpError: if one lies outside the folder, where no reader would look for it.
    """
    root = folder.resolve()
    for file in files:
        if not Path(file).resolve().is_relative_to(root):
            raise KpError(f"--format xml: expected photographs in the XML's folder {folder} or below, found {file}")
    return [Path(file).resolve().relative_to(root).as_posix() for file in files]


def write_xml(path: Path, found: Found, scheme: Scheme) -> None:
    """dlib's XML, in whole pixels; photographs without a face are in it too.

    Raises:
        KpError: as `names_in`, or if it cannot be written.
    """
    from kp_tf.data.dlib_xml import write_dlib_xml  # predicting needs no XML parser
    from kp_tf.data.samples import Records

    names = names_in(path.parent, [file for file, _ in found])
    each = [(name, face) for name, (_, faces) in zip(names, found, strict=True) for face in faces]
    boxes = np.array([face.box for _, face in each]).reshape(-1, 4)
    points = np.array([face.points for _, face in each]).reshape(-1, len(scheme), 2)
    files = tuple(name for name, _ in each)
    write_dlib_xml(path, Records(path.parent, files, boxes, points, scheme, files), names)


def draw(photograph: Photograph, faces: Sequence[Face]) -> Image.Image:
    """The upright photograph with boxes and points, each group of points in a colour of its own."""
    picture = photograph.upright.copy()
    canvas = ImageDraw.Draw(picture)
    for face in faces:
        (left, top, width, height), points = (
            photograph.turn.boxes_to_upright(face.box[None])[0],
            photograph.turn.to_upright(face.points),
        )
        size = max(width, height)
        radius, line = max(1.5, size / 110), max(1, round(size / 150))
        corners = (left, top, left + width - 1, top + height - 1)
        canvas.rectangle(corners, outline="white", width=line)
        for colour, (x, y) in zip(colours(face.scheme), points, strict=True):
            # a dark rim, so that a point shows on skin and on white
            spot = (x - radius, y - radius, x + radius, y + radius)
            canvas.ellipse(spot, fill=colour, outline="black", width=max(1, round(radius / 3)))
    return picture


def colours(scheme: Scheme) -> list[str]:
    """One for each point, by its group."""
    found = [COLOURS[-1]] * len(scheme)
    for number, (_, indices) in enumerate(scheme.groups):
        for index in indices:
            found[index] = COLOURS[number % len(COLOURS)]
    return found


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture whole or not at all.

    Raises:
        KpError: if it cannot be written.
    """
    with replacing(path) as temporary:
        picture.save(temporary, quality=92)


def save_text(text: str, path: Path) -> None:
    """Write a text whole or not at all.

    Raises:
        KpError: if it cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
