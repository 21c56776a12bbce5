"""COCO's JSON for keypoints: `images`, `annotations` and `categories` in one file.

Keypoints are indices of pixels, so that the centre of the top left pixel is (0, 0), as in COCO itself and in
Detectron2's reader. The numbers of a bbox are pixel edges counted from the corner of the picture, which are ours
unchanged (core/geometry.py). A keypoint with visibility 0 is absent; 1 (hidden) and 2 (visible) are both present.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from kp_tf.core.errors import KpError
from kp_tf.core.files import ESCAPE, read_json
from kp_tf.data.formats.face_list import Box, FaceList, Point, as_upright, in_images, number, numbers, shown
from kp_tf.data.samples import Samples

CATEGORY = "face"
DECIMALS = 4
MAX_POINTS = 10_000


def recognizes(path: Path) -> bool:
    """Whether a file is JSON with annotations of images."""
    return path.suffix.lower() == ".json" and path.is_file() and {"images", "annotations"} <= read_json(path).keys()


def read(path: Path, allow_outside: bool | None = None) -> Samples:
    """Read the annotations with keypoints of one category.

    Photographs lie in the folder of the JSON or in its folder `images`. Annotations without keypoints, and those of
    crowds, are skipped. A bbox that is missing or zero becomes the smallest box around the points.

    Raises:
        KpError: if the file is missing or no COCO JSON, has keypoints of several categories, or no face can be used.
    """
    content = read_json(path)
    faces = FaceList(path, path.parent, allow_outside)
    images = {_id(image, "id", f"{path}: an image"): image for image in _objects(content, "images", path)}
    categories = {
        _id(category, "id", f"{path}: a category"): _names(category, path)
        for category in _objects(content, "categories", path)
    }
    used = {}
    for place, annotation in enumerate(_objects(content, "annotations", path), 1):
        if not annotation.get("keypoints") or annotation.get("iscrowd") or annotation.get("num_keypoints") == 0:
            continue
        with faces.entry(f"{path.name}, annotation {place} (id {shown(annotation.get('id'))})"):
            category = _id(annotation, "category_id", "the annotation")
            names = categories.get(category)
            if not names:
                raise KpError("its category names no keypoints")
            points = _points(annotation["keypoints"], names)
            if not points:
                continue
            image = images.get(_id(annotation, "image_id", "the annotation"))
            if image is None:
                raise KpError("there is no image with its image_id")
            faces.add(_file(path.parent, image), points, _box(annotation.get("bbox")), _size(image))
            used[category] = names
    if len(used) > 1:
        raise KpError(f"{path}: {len(used)} categories have keypoints; keep the annotations of one of them")
    return faces.samples(*used.values())


def render(target: Path, samples: Samples) -> dict[Path, bytes]:
    """The JSON file. Raises KpError if a photograph, whose size it states, cannot be read."""
    samples, sizes = as_upright(samples)
    ids = {file: number for number, file in enumerate(dict.fromkeys(samples.files), 1)}
    known = dict(zip(samples.files, sizes, strict=True))
    images = [{"id": ids[file], "file_name": file, "width": known[file][0], "height": known[file][1]} for file in ids]
    annotations = []
    for place, (file, box, points) in enumerate(zip(samples.files, samples.boxes, samples.labels, strict=True), 1):
        present = ~np.isnan(points).any(axis=1)
        values = np.where(present[:, None], points, 0).round(DECIMALS)
        triples = np.column_stack([values, 2 * present]).ravel().tolist()
        annotations.append(
            {
                "id": place,
                "image_id": ids[file],
                "category_id": 1,
                "bbox": box.round(DECIMALS).tolist(),
                "area": round(float(box[2] * box[3]), DECIMALS),
                "iscrowd": 0,
                "segmentation": [],
                "num_keypoints": int(present.sum()),
                "keypoints": [int(value) if value.is_integer() else value for value in triples],
            }
        )
    category = {"id": 1, "name": CATEGORY, "supercategory": "", "keypoints": samples.scheme.names, "skeleton": []}
    content = {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": [category]}
    return {target: json.dumps(content, ensure_ascii=False).encode(errors=ESCAPE)}


def _objects(content: dict, key: str, path: Path) -> list[dict[str, Any]]:
    listed = content.get(key)
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise KpError(f"{path}: expected COCO's JSON with a list of objects {key}")
    return listed


def _id(item: dict, key: str, what: str) -> int | str:
    value = item.get(key)
    if not isinstance(value, int | str):
        raise KpError(f"{what} has no {key}, found {shown(value)}")
    return value


def _names(category: dict, path: Path) -> tuple[str, ...]:
    names = category.get("keypoints", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) > MAX_POINTS:
        raise KpError(f"{path}: expected a list of names keypoints in categories, found {shown(names)}")
    if len(set(names)) != len(names):
        raise KpError(f"{path}: a category has two keypoints of the same name")
    return tuple(names)


def _points(values: object, names: tuple[str, ...]) -> dict[str, Point]:
    """The points that are labelled."""
    flat = values if isinstance(values, list) else []
    if len(flat) != 3 * len(names):
        raise KpError(f"expected 3 × {len(names)} numbers keypoints, found {len(flat)}")
    rows = zip(names, flat[::3], flat[1::3], flat[2::3], strict=True)
    return {
        name: (number(x, f"x of {name!r}"), number(y, f"y of {name!r}"))
        for name, x, y, visible in rows
        if number(visible, f"visibility of {name!r}") > 0
    }


def _box(values: object) -> Box | None:
    if not values:
        return None
    left, top, width, height = numbers(values, 4, "bbox")
    return (left, top, width, height) if any((left, top, width, height)) else None


def _file(folder: Path, image: dict) -> str:
    name = image.get("file_name")
    if not isinstance(name, str):
        raise KpError("its image has no file_name")
    return in_images(folder, name)


def _size(image: dict) -> tuple[int, int] | None:
    width, height = image.get("width"), image.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None
