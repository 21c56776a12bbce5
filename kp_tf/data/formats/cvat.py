"""CVAT's XML, "CVAT for images 1.1": skeletons, points and boxes on images.

Coordinates are counted from the corner of the picture, so that the centre of the top left pixel is (0.5, 0.5). CVAT
shows photographs upright, and its labels are in upright pixels. Points that are `outside` are absent; those that are
`occluded` are present.
"""

from collections import defaultdict
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from kp_tf.core.errors import KpError
from kp_tf.data.formats.face_list import CORNER, Box, FaceList, Point, as_upright, in_images, number
from kp_tf.data.samples import Samples
from kp_tf.data.xml_elements import as_xml, read_elements, root_tag

LABEL = "face"
MAX_POINTS = 10_000


def recognizes(path: Path) -> bool:
    """Whether a file is XML whose outermost element is <annotations>."""
    return path.is_file() and root_tag(path) == "annotations"


def read(path: Path, allow_outside: bool | None = None) -> Samples:
    """Read the skeletons and points of every image.

    A skeleton is a face, and so are several points in one <points>, which are numbered from `00`. Single <points> are
    joined by their group; those without a group are one face. The box of a face is the one of its group, or the only
    box on a photograph with a single face; without one it is drawn around the points. Other shapes are skipped.
    Photographs lie in the folder of the XML or in its folder `images`.

    Raises:
        KpError: if the file is missing, no XML, or CVAT for video, or if no face can be used.
    """
    faces = FaceList(path, path.parent, allow_outside)
    for place, element in enumerate(read_elements(path, {("image",), ("track",)}), 1):
        if element.tag == "track":
            raise KpError(f"{path}: it holds tracks of a video; export the task as CVAT for images 1.1")
        name = element.get("name", "")
        with faces.entry(f"{path.name}, image {place} ({name[:80]})"):
            found = _faces(element)
            if not found:
                continue
            file, seen = in_images(path.parent, name), _size(element)
            for points, box in found:
                faces.add(file, points, box, seen)
    return faces.samples()


def render(target: Path, samples: Samples) -> dict[Path, bytes]:
    """The XML file: a skeleton and a box in one group for each face, in hundredths of a pixel.

    Raises:
        KpError: if a photograph, whose size it states, cannot be read.
    """
    samples, sizes = as_upright(samples)
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    _write_labels(SubElement(SubElement(root, "meta"), "task"), samples.scheme.names)
    images, groups = {}, defaultdict(int)
    for file, (width, height), box, points in zip(samples.files, sizes, samples.boxes, samples.labels, strict=True):
        if file not in images:
            about = {"id": str(len(images)), "name": file, "width": str(width), "height": str(height)}
            images[file] = SubElement(root, "image", about)
        groups[file] += 1
        shape = {"label": LABEL, "source": "manual", "occluded": "0", "z_order": "0", "group_id": str(groups[file])}
        ends = zip(("xtl", "ytl", "xbr", "ybr"), (*box[:2], *(box[:2] + box[2:])), strict=True)
        SubElement(images[file], "box", shape | {name: f"{value:.2f}" for name, value in ends})
        skeleton = SubElement(
            images[file], "skeleton", {key: shape[key] for key in ("label", "source", "z_order", "group_id")}
        )
        for name, point in zip(samples.scheme.names, points, strict=True):
            is_absent = np.isnan(point).any()
            x, y = box[:2] + box[2:] / 2 if is_absent else point + CORNER  # CVAT places absent points somewhere as well
            state = {"source": "manual", "outside": str(int(is_absent)), "occluded": "0"}
            SubElement(skeleton, "points", {"label": name, **state, "points": f"{x:.2f},{y:.2f}"})
    return {target: as_xml(root)}


def _write_labels(task: Element, names: tuple[str, ...]) -> None:
    labels = SubElement(task, "labels")
    for name, kind in ((LABEL, "skeleton"), *((name, "points") for name in names)):
        label = SubElement(labels, "label")
        SubElement(label, "name").text = name
        SubElement(label, "type").text = kind
        SubElement(label, "attributes")
        if kind == "points":
            SubElement(label, "parent").text = LABEL


def _faces(image: Element) -> list[tuple[dict[str, Point], Box | None]]:
    """The faces of an image, each with its points and the box that belongs to it."""
    faces: list[tuple[str, dict[str, Point]]] = []
    joined: dict[str, dict[str, Point]] = {}
    boxes: dict[str, list[Box]] = defaultdict(list)
    for shape in image:
        group = shape.get("group_id", "0")  # 0: none
        if shape.tag == "box":
            boxes[group].append(_box(shape))
        elif shape.tag == "skeleton":
            faces.append((group, _named(shape.findall("points"))))
        elif shape.tag == "points":
            places = _places(shape)
            if len(places) > 1:
                faces.append((group, {f"{k:02d}": place for k, place in enumerate(places)}))
            else:
                _put(joined.setdefault(group, {}), shape, places[0])
    faces = [(group, points) for group, points in (*faces, *joined.items()) if points]
    every = [box for group in boxes.values() for box in group]
    if len(faces) == len(every) == 1:
        return [(faces[0][1], every[0])]
    return [(points, boxes[group][0] if group != "0" and len(boxes[group]) == 1 else None) for group, points in faces]


def _named(shapes: list[Element]) -> dict[str, Point]:
    """The points of a skeleton that are not outside."""
    points: dict[str, Point] = {}
    for shape in shapes:
        places = _places(shape)
        if len(places) != 1:
            raise KpError("each points of a skeleton needs one x,y")
        _put(points, shape, places[0])
    return points


def _put(points: dict[str, Point], shape: Element, place: Point) -> None:
    name = shape.get("label", "")
    if shape.get("outside") == "1":
        return
    if name in points:
        raise KpError(f"point {name[:40]!r} occurs twice in a face; group the shapes of each face")
    points[name] = place


def _places(shape: Element) -> list[Point]:
    texts = shape.get("points", "").split(";")
    pairs = [text.split(",") for text in texts]
    if len(pairs) > MAX_POINTS or not all(len(pair) == 2 for pair in pairs):
        raise KpError(f"expected points x,y;x,y, found {shape.get('points', '')[:40]!r}")
    return [(number(x, "x") - CORNER, number(y, "y") - CORNER) for x, y in pairs]


def _box(shape: Element) -> Box:
    left, top, right, bottom = (
        number(shape.get(name, ""), f"{name} of a box") for name in ("xtl", "ytl", "xbr", "ybr")
    )
    return left, top, right - left, bottom - top


def _size(image: Element) -> tuple[int, int] | None:
    width, height = image.get("width", ""), image.get("height", "")
    return (int(width), int(height)) if width.isdecimal() and height.isdecimal() else None
