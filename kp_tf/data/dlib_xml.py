"""dlib's XML: photographs with boxes, and named parts in each box."""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from kp_tf.core.boxes import check_box_size
from kp_tf.core.errors import KpError, raise_problems
from kp_tf.core.files import replacing
from kp_tf.core.keypoints import Scheme
from kp_tf.data.names import PhotographFinder
from kp_tf.data.samples import Samples
from kp_tf.data.xml_elements import as_xml, read_elements

MAX_COORDINATE = 1e6  # pixels
MAX_NAMES = 1000  # of points


def read_dlib_xml(
    path: Path, scheme: Scheme, labelled: bool = True, partial: bool = False, allow_outside: bool | None = None
) -> Samples:
    """Read every box of the file, in its order. The images lie in the folder of the XML.

    Args:
        path: the XML file.
        scheme: its names are the parts that each box must have, once each, in any order; `0` counts as `00`.
        labelled: False reads the boxes alone, whatever parts they hold.
        partial: for labels of a user's own: all parts but one may be absent; parts of other names, boxes with
            `ignore='1'` and photographs without a box are skipped.
        allow_outside: see `samples.check_inside`.

    Returns:
        The samples. An entry that cannot be used is left out and named in `problems`: it has no box, a box without
        size, a missing or doubled part, a value that is not a number, or a file outside the folder.

    Raises:
        KpError: if the file is missing, does not parse, or has no entry that can be used.
    """
    root, photographs = path.parent, PhotographFinder(path.parent, allow_outside)
    files, boxes, points, entries, problems = [], [], [], [], []
    for number, image in enumerate(_images(path), 1):
        file = image.get("file", "")
        entry = f"{path.name}, image {number} ({file[:80]})"
        try:
            file = photographs.find(file)
            faces = _read_faces(image, scheme, labelled, partial)
        except KpError as problem:
            problems.append(f"{entry}: {problem}")
            continue
        for box, parts in faces:
            files.append(file)
            boxes.append(box)
            points.append(parts)
            entries.append(entry)
    if not files:
        raise_problems(problems, f"entries of {path} cannot be used")
        raise KpError(f"{path}: there are no boxes, or all of them have ignore='1'")
    return Samples(
        root=root,
        files=tuple(files),
        boxes=np.array(boxes, np.float64),
        points=np.array(points, np.float64) if labelled else None,
        scheme=scheme,
        entries=tuple(entries),
        problems=tuple(problems),
    )


def part_names(path: Path) -> tuple[str, ...]:
    """The names of all parts in the file's boxes, sorted with numbers by value.

    Raises:
        KpError: if the file is missing, does not parse, or names no part or far too many.
    """
    boxes = (face for image in _images(path) for face in image.findall("box") if not is_ignored(face.attrib))
    names = {part.get("name", "") for face in boxes for part in face.findall("part")}
    if not names:
        raise KpError(f"{path}: none of its boxes has parts")
    return in_natural_order(names, path)


def in_natural_order(names: Collection[str], path: Path) -> tuple[str, ...]:
    """The different names of a label file's points, sorted with the numbers in them by value.

    Raises:
        KpError: if there are so many that they cannot be points: every face has room for all of them.
    """
    if len(names) > MAX_NAMES:
        raise KpError(f"{path}: its points have {len(names):,} different names; {MAX_NAMES:,} are read at most")
    padded = {name: re.sub(r"\d+", lambda digits: digits[0].zfill(9), name) for name in names}
    return tuple(sorted(padded, key=lambda name: (padded[name], name)))


def write_dlib_xml(path: Path, samples: Samples, files: Iterable[str] = ()) -> None:
    """Write samples as dlib's XML; see `as_dlib_xml`.

    Raises:
        KpError: if the file cannot be written.
    """
    content = as_dlib_xml(samples, files)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def as_dlib_xml(samples: Samples, files: Iterable[str] = ()) -> bytes:
    """Samples as dlib's XML. Boxes and points are rounded to whole pixels, which is all that dlib reads.

    Args:
        samples: the faces; missing points are left out.
        files: photographs that come first, in this order, including those without a face.

    Raises:
        KpError: if a name holds a character that XML cannot express.
    """
    images = Element("images")
    faces = {file: SubElement(images, "image", file=file) for file in files}
    for file, corners, points in zip(samples.files, samples.boxes, samples.labels, strict=True):
        if file not in faces:
            faces[file] = SubElement(images, "image", file=file)
        left, top, width, height = (str(round(value)) for value in corners)
        box = SubElement(faces[file], "box", left=left, top=top, width=width, height=height)
        for name, (x, y) in zip(samples.scheme.names, points, strict=True):
            if not np.isnan(x + y):
                SubElement(box, "part", name=name, x=str(round(x)), y=str(round(y)))
    dataset = Element("dataset")
    dataset.append(images)
    return as_xml(dataset)


def _images(path: Path) -> Iterator[Element]:
    """The <image> entries in <dataset><images>."""
    count = 0
    for image in read_elements(path, {("images", "image")}):
        count += 1
        yield image
    if not count:
        raise KpError(f"{path}: there are no <image> entries in <dataset><images>")


def _read_faces(image: Element, scheme: Scheme, labelled: bool, partial: bool) -> list[tuple]:
    """The boxes of an entry, each with its points (K, 2) or None."""
    faces = image.findall("box")
    if not faces and not partial:
        raise KpError("the entry has no box")
    faces = [face for face in faces if not (partial and is_ignored(face.attrib))]
    # an array takes a tenth of the tuples' memory
    return [(_read_box(face), np.array(_read_parts(face, scheme, partial)) if labelled else None) for face in faces]


def _read_box(face: Element) -> tuple[float, float, float, float]:
    left, top, width, height = (_number(face, name) for name in ("left", "top", "width", "height"))
    check_box_size(width, height)
    return left, top, width, height


def _read_parts(face: Element, scheme: Scheme, partial: bool) -> list[tuple[float, float]]:
    parts = face.findall("part")
    names = [scheme.part_names.get(name, name) for name in (part.get("name", "") for part in parts)]
    points = {name: (_number(part, "x"), _number(part, "y")) for name, part in zip(names, parts, strict=True)}
    if len(points) != len(parts):
        doubled = next(name for name in names if names.count(name) > 1)
        raise KpError(f"part {doubled[:40]!r} occurs twice in a box")
    if partial:
        if not any(name in points for name in scheme.names):
            raise KpError(f"a box has no part of {scheme.name}; mark it with ignore='1' to skip it")
        return [points.get(name, (math.nan, math.nan)) for name in scheme.names]
    missing = [name for name in scheme.names if name not in points]
    if missing or len(points) != len(scheme):
        what = f"part {missing[0]!r} is missing" if missing else "it has parts of other names"
        raise KpError(f"a box needs the {len(scheme)} parts of {scheme.name}: {what}")
    return [points[name] for name in scheme.names]


def _number(element: Element, name: str) -> float:
    return parse_coordinate(element.get(name, ""), f"expected a number {name} in <{element.tag}>")


def parse_coordinate(text: str, message: str) -> float:
    """A finite number of at most MAX_COORDINATE. Raises KpError, beginning with the message, if not."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= MAX_COORDINATE:  # also if it is NaN
        too_large = ", which is too large" if math.isfinite(value) else ""
        raise KpError(f"{message}, found {text[:40]!r}{too_large}")
    return value


def is_ignored(attributes: Mapping[str, str]) -> bool:
    """Whether the attributes of a box mark it as one that is not to be used."""
    return attributes.get("ignore", "").strip().lower() in ("1", "true")
