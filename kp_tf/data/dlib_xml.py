"""dlib's XML: photographs with boxes, and named parts in each box."""

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, ParseError, SubElement, indent

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from kp_tf.core.errors import KpError, raise_all
from kp_tf.core.files import replacing
from kp_tf.data.samples import Records, check_inside
from kp_tf.core.keypoints import Scheme

FARTHEST = 1e6  # pixels from the photograph's corner


def read_dlib_xml(
    path: Path,
    scheme: Scheme,
    labelled: bool = True,
    partial: bool = False,
    skipped: list[str] | None = None,
) -> Records:
    """Every box of the file, in its order; the images lie beside the XML.

    Args:
        path: the XML file.
        scheme: its names are the parts that each box must have, once each, in any order.
        labelled: False takes the boxes alone, whatever parts they hold.
        partial: as people mark their own photographs: parts may be absent, all but one; those of other names,
            boxes with `ignore='1'` and photographs without a box are left out.
        skipped: with it bad entries are left out and named there, unless all are bad.

    Raises:
        KpError: if the file is missing, does not parse or holds no image, or if an entry is bad: no box, a box
            of no size, parts missing or doubled, a number that is none, a file outside the folder. Names up to
            twenty entries and counts all.
    """
    root = path.parent
    files, boxes, points, entries, problems = [], [], [], [], []
    for number, image in enumerate(_images(path), 1):
        file = image.get("file", "")
        entry = f"{path.name}, image {number} ({file[:80]})"
        try:
            check_inside(root, file)
            faces = image.findall("box")
            if not faces and not partial:
                raise KpError("expected a box, found none")
            faces = [face for face in faces if not (partial and _ignored(face))]
            read = [(_read_box(face), _read_parts(face, scheme, partial) if labelled else None) for face in faces]
        except KpError as problem:
            problems.append(f"{entry}: {problem}")
            continue
        for box, parts in read:
            files.append(file)
            boxes.append(box)
            points.append(parts and np.array(parts))  # a tenth of the tuples' memory
            entries.append(entry)
    raise_all(problems, f"bad entries in {path}", skipped if files else None)
    if not files:
        raise KpError(f"{path}: expected boxes that are not ignored, found none")
    return Records(
        root=root,
        files=tuple(files),
        boxes=np.array(boxes, np.float64),
        points=np.array(points, np.float64) if labelled else None,
        scheme=scheme,
        entries=tuple(entries),
    )


def _images(path: Path) -> Iterator[Element]:
    """The <image> entries in <dataset><images>, one at a time: a tree of all would be twenty times the file."""
    if not path.is_file():
        raise KpError(f"{path}: expected dlib's XML of photographs and boxes, found no such file")
    above, found = [], 0
    try:
        for event, element in iterparse(path, events=("start", "end")):
            if event == "start":
                above.append(element)
                continue
            above.pop()
            if [parent.tag for parent in above[1:]] == ["images"] and element.tag == "image":
                found += 1
                yield element
                above[-1].clear()
    except ParseError as error:
        raise KpError(f"{path}: expected XML, found: {error}") from None
    except (DefusedXmlException, ValueError, LookupError) as error:
        raise KpError(f"{path}: expected plain XML without entities, found: {error}") from None
    if not found:
        raise KpError(f"{path}: expected <image> entries in <dataset><images>, found none")


def _number(element: Element, name: str) -> float:
    text = element.get(name, "")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= FARTHEST:  # nor NaN
        too_large = ", which is too large" if math.isfinite(value) else ""
        raise KpError(f"expected a number {name} in <{element.tag}>, found {text[:40]!r}{too_large}")
    return value


def _read_box(face: Element) -> tuple[float, float, float, float]:
    left, top, width, height = (_number(face, name) for name in ("left", "top", "width", "height"))
    if width <= 0 or height <= 0:
        raise KpError(f"expected a box of positive width and height, found {width:g} × {height:g}")
    return left, top, width, height


def _ignored(face: Element) -> bool:
    return face.get("ignore", "").strip() in ("1", "true")


def part_names(path: Path) -> tuple[str, ...]:
    """The names of all parts in the file's boxes, numbers in them by size.

    Raises:
        KpError: if the file is missing, does not parse, or names no part.
    """
    boxes = (face for image in _images(path) for face in image.findall("box") if not _ignored(face))
    names = {part.get("name", "") for face in boxes for part in face.findall("part")}
    if not names:
        raise KpError(f"{path}: expected boxes with parts, found none")
    padded = {name: re.sub(r"\d+", lambda digits: digits[0].zfill(9), name) for name in names}
    return tuple(sorted(names, key=lambda name: (padded[name], name)))


def write_dlib_xml(path: Path, records: Records, files: Iterable[str] = ()) -> None:
    """Write records as dlib's XML; boxes and points go to whole pixels, all that dlib reads.

    `files` come first, in this order, also those without a face.
    """
    images = Element("images")
    faces = {file: SubElement(images, "image", file=file) for file in files}
    for face, file in enumerate(records.files):
        if file not in faces:
            faces[file] = SubElement(images, "image", file=file)
        corner = (str(round(value)) for value in records.boxes[face])
        box = SubElement(faces[file], "box", dict(zip(("left", "top", "width", "height"), corner, strict=True)))
        for name, (x, y) in zip(records.scheme.names, records.points[face], strict=True):
            if not np.isnan(x + y):
                SubElement(box, "part", name=name, x=str(round(x)), y=str(round(y)))
    dataset = Element("dataset")
    dataset.append(images)
    indent(dataset)
    with replacing(path) as temporary:
        ElementTree(dataset).write(temporary, encoding="utf-8", xml_declaration=True)


def _read_parts(face: Element, scheme: Scheme, partial: bool) -> list[tuple[float, float]]:
    parts = face.findall("part")
    found = {part.get("name", ""): (_number(part, "x"), _number(part, "y")) for part in parts}
    if len(found) != len(parts):
        names = [part.get("name", "") for part in parts]
        doubled = next(name for name in names if names.count(name) > 1)
        raise KpError(f"expected each part once, found part {doubled[:40]!r} doubled")
    if partial:
        if not any(name in found for name in scheme.names):
            raise KpError(f"expected parts of {scheme.name} or ignore='1', found none in a box")
        return [found.get(name, (math.nan, math.nan)) for name in scheme.names]
    missing = [name for name in scheme.names if name not in found]
    if missing or len(found) != len(scheme):
        what = f"part {missing[0]!r} missing" if missing else "parts of other names besides"
        raise KpError(f"expected the {len(scheme)} parts of {scheme.name}, found {len(found)}, {what}")
    return [found[name] for name in scheme.names]
