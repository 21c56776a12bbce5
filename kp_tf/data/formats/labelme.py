"""LabelMe's JSON: a file for each photograph, with points and rectangles.

Coordinates are counted from the corner of the picture, so that the centre of the top left pixel is (0.5, 0.5).
LabelMe shows photographs upright, and its labels are in upright pixels. A point that has no shape is absent.
"""

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from kp_tf.core.errors import KpError
from kp_tf.core.files import ESCAPE, read_json, visible
from kp_tf.data.formats.face_list import CORNER, Box, FaceList, Point, as_upright, numbers, shown
from kp_tf.data.samples import Samples

VERSION = "5.5.0"  # of LabelMe, whose files these are like
LABEL = "face"
DECIMALS = 4


def recognizes(path: Path) -> bool:
    """Whether a folder holds a LabelMe file, or JSON that cannot be read, of which `read` says what is wrong."""
    return path.is_dir() and any(_may_be_labelme(file) for file in visible(path.rglob("*.json"), path))


def read(path: Path, allow_outside: bool | None = None) -> Samples:
    """Read all LabelMe files in a folder and below it; other JSON files are skipped.

    The shapes of a face share their group_id; those without one are one face. A face's box is its only rectangle, or
    is drawn around the points. Rectangles without points and other kinds of shapes are skipped.

    Raises:
        KpError: if no face can be used.
    """
    faces = FaceList(path, path, allow_outside)
    for file in visible(path.rglob("*.json"), path):
        with faces.entry(file.relative_to(path).as_posix()):
            content = read_json(file)
            if not _is_labelme(content):
                continue
            image = content["imagePath"]
            if not isinstance(image, str):
                raise KpError(f"expected a text imagePath, found {shown(image)}")
            if not os.path.exists(file.parent / image):
                image = image.replace("\\", "/")  # LabelMe on Windows
            place = os.path.normpath(file.relative_to(path).parent / image).replace(os.sep, "/") if image else ""
            for points, box in _faces(content["shapes"]):
                faces.add(place, points, box, _size(content))
    return faces.samples()


def render(target: Path, samples: Samples) -> dict[Path, bytes]:
    """The files in the folder `target`, each beside its photograph; outside of the folder, in the folder itself.

    Raises:
        KpError: if a photograph, whose size they state, cannot be read, or two photographs have the same stem.
    """
    samples, sizes = as_upright(samples)
    faces = defaultdict(list)
    for index, file in enumerate(samples.files):
        faces[file].append(index)
    contents = {}
    for file, indices in faces.items():
        is_inside = not (Path(file).is_absolute() or ".." in Path(file).parts)
        path = target / (Path(file) if is_inside else Path(Path(file).name)).with_suffix(".json")
        if path in contents:
            entry = samples.entries[indices[0]]
            raise KpError(f"{entry}: another photograph has the same name {path.stem} without its suffix")
        width, height = sizes[indices[0]]
        shapes = [shape for group, index in enumerate(indices, 1) for shape in _shapes(samples.take([index]), group)]
        content = {
            "version": VERSION,
            "flags": {},
            "shapes": shapes,
            "imagePath": Path(file).name if is_inside else file,
        }
        content |= {"imageData": None, "imageHeight": height, "imageWidth": width}
        contents[path] = (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode(errors=ESCAPE)
    return contents


def _shapes(face: Samples, group: int) -> list[dict[str, Any]]:
    """A face as shapes: its box, then the points that are present."""
    corner, size = face.boxes[0, :2], face.boxes[0, 2:]
    rows = zip(face.scheme.names, face.labels[0] + CORNER, strict=True)
    named = [(name, [point]) for name, point in rows if not np.isnan(point).any()]
    kinds = [(LABEL, [corner, corner + size], "rectangle"), *((name, points, "point") for name, points in named)]
    return [
        {
            "label": label,
            "points": np.round(points, DECIMALS).tolist(),
            "group_id": group,
            "description": "",
            "shape_type": kind,
            "flags": {},
            "mask": None,
        }
        for label, points, kind in kinds
    ]


def _may_be_labelme(file: Path) -> bool:
    try:
        return _is_labelme(read_json(file))
    except KpError:
        return True


def _is_labelme(content: dict) -> bool:
    return {"shapes", "imagePath"} <= content.keys()


def _faces(shapes: object) -> list[tuple[dict[str, Point], Box | None]]:
    """The faces with points, each with its box."""
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise KpError(f"expected a list of objects shapes, found {shown(shapes)}")
    points: dict[str, dict[str, Point]] = defaultdict(dict)
    boxes: dict[str, list[Box]] = defaultdict(list)
    for shape in shapes:
        group, kind, name = shown(shape.get("group_id")), shape.get("shape_type"), shape.get("label")
        if kind == "rectangle":
            boxes[group].append(_box(shape.get("points")))
        elif kind == "point":
            if not isinstance(name, str):
                raise KpError(f"expected a text label, found {shown(name)}")
            if name in points[group]:
                raise KpError(f"point {shown(name)} occurs twice in a face; give each face a group_id of its own")
            (place,) = _places(shape.get("points"), 1)
            points[group][name] = place[0] - CORNER, place[1] - CORNER
    return [(face, boxes[group][0] if len(boxes[group]) == 1 else None) for group, face in points.items()]


def _places(points: object, count: int) -> list[list[float]]:
    if not isinstance(points, list) or len(points) != count:
        raise KpError(f"expected {count} points in a shape, found {shown(points)}")
    return [numbers(point, 2, "x and y of a shape") for point in points]


def _box(points: object) -> Box:
    (x, y), (x2, y2) = _places(points, 2)
    return min(x, x2), min(y, y2), abs(x2 - x), abs(y2 - y)


def _size(content: dict) -> tuple[int, int] | None:
    width, height = content.get("imageWidth"), content.get("imageHeight")
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None
