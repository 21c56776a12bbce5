"""Labels in dlib's XML: the page shows some of them, and saving changes those alone.

A file is taken apart into texts: the head up to the first entry, each entry with what stands before it, and the tail.
The page keeps these texts. Saving joins them again, so that whatever the page does not show stays as it was.
"""

import codecs
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, TreeBuilder, XMLParser, indent, tostring
from xml.parsers import expat

import numpy as np

from kp_tf.apps.demo.unfinished import is_left_out, set_todo, todo_of
from kp_tf.core.boxes import check_box_size
from kp_tf.core.errors import KpError
from kp_tf.core.face import Face
from kp_tf.core.files import is_unicode
from kp_tf.data.dlib_xml import parse_coordinate
from kp_tf.data.names import spellings
from kp_tf.data.xml_elements import MAX_DEPTH


class SourcedFace(NamedTuple):
    """A face as it is saved.

    Attributes:
        face: in pixels as stored.
        source: the number of its box among all boxes of its photograph's entries; None if it is new.
        todo: the names of the points that are still to be marked; None leaves what the box says. While there are any,
            or no point at all, the box has ignore='1', so that nothing is trained on it.
    """

    face: Face
    source: int | None
    todo: Sequence[str] | None = None


NEW_FILE = {
    "head": "<?xml version='1.0' encoding='UTF-8'?>\n<dataset>\n  <images>",
    "entries": [],
    "tail": "\n  </images>\n</dataset>\n",
}
_CORNERS = ("left", "top", "width", "height")
_TOLERANCE = 0.01  # pixels; the page rounds to hundredths, which is no correction


@dataclass
class _Entry:
    """An <image> element: its bytes, and the attributes of its boxes, each with those of its parts."""

    start: int
    file: str
    end: int = 0
    boxes: list[tuple[dict[str, str], list[dict[str, str]]]] = field(default_factory=list)


def read_labels(content: bytes, path: str) -> dict:
    """Take a file of labels apart.

    Args:
        content: dlib's XML in any encoding that it declares.
        path: where the file lies in the opened folder; the files of its entries are relative to it.

    Returns:
        The head, the entries and the tail. Each entry has its file relative to the opened folder, the names that this
        may stand for (see `names.spellings`), the text that precedes it (lead), its text, the number of its boxes,
        and its faces: the number of the box (source), the box and the points by name, in pixels as stored, and the
        names of the points that are still to be marked (todo). An entry whose numbers cannot be used has a problem
        instead of faces.

    Raises:
        KpError: if the content is not XML, or has no entries.
    """
    data = _decode(content, path).encode()
    entries = _parse(data, path)
    ends = [entries[0].start, *(entry.end for entry in entries)]
    return {
        "head": data[: ends[0]].decode(),
        "entries": [
            _entry_to_json(entry, data[end : entry.start].decode(), data[entry.start : entry.end].decode(), path)
            for entry, end in zip(entries, ends, strict=False)
        ],
        "tail": data[ends[-1] :].decode(),
    }


def write_labels(opened: Mapping, photographs: Sequence[tuple[str, Sequence[SourcedFace]]]) -> str:
    """Join a file of labels again, with the faces of some photographs replaced.

    Coordinates that did not change keep their text; others are written in whole pixels, which is all that dlib reads.

    Args:
        opened: head, entries and tail as `read_labels` returns them, or `NEW_FILE`. Of an entry, only lead, text and
            photograph are used; photograph is the file whose faces replace the entry's, or None.
        photographs: file names with their faces; those without an entry are added at the end.
    """
    texts = [str(entry["text"]) for entry in opened["entries"]]
    for file, faces in photographs:
        places = [i for i, entry in enumerate(opened["entries"]) if entry.get("photograph") == file]
        replaced = replace_faces([texts[i] for i in places] or ["<image />"], file, faces)
        for i, text in zip(places, replaced, strict=False):
            texts[i] = text
        if not places:
            texts += replaced
    leads = [str(entry["lead"]) for entry in opened["entries"]]
    leads += ["\n    "] * (len(texts) - len(leads))
    body = "".join(lead + text for lead, text in zip(leads, texts, strict=True))
    return f"{opened['head']}{body}{opened['tail']}"


def _decode(content: bytes, path: str) -> str:
    """The text of an XML file, declared as UTF-8."""
    declared = re.match(rb"""(?:\xef\xbb\xbf)?<\?xml[^>]*?encoding\s*=\s*["']([\w.-]+)""", content)
    encoding = "utf-8" if declared is None else declared[1].decode()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif encoding.lower() == "iso-8859-1" and _is_utf_8(content):
        encoding = "utf-8"  # imglab copies the bytes of names under this head
    try:
        text = content.decode(encoding).removeprefix("\ufeff")
        text.encode()
    except (LookupError, UnicodeError):
        raise KpError(f"cannot read {path}: its text is not in the encoding {encoding}") from None
    return re.sub(r"""^(<\?xml[^>]*?encoding\s*=\s*["'])[\w.-]+""", r"\1UTF-8", text)


def _is_utf_8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parse(data: bytes, path: str) -> list[_Entry]:
    parser, above, entries = expat.ParserCreate("utf-8"), [], []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if len(above) == MAX_DEPTH:
            raise KpError(f"{path}: the XML is nested more than {MAX_DEPTH} levels deep")
        above.append(tag)
        match above[1:]:
            case ["images", "image"]:
                entries.append(_Entry(parser.CurrentByteIndex, attributes.get("file", "")))
            case ["images", "image", "box"]:
                entries[-1].boxes.append((attributes, []))
            case ["images", "image", "box", "part"]:
                entries[-1].boxes[-1][1].append(attributes)

    def end(tag: str) -> None:
        if above[1:] == ["images", "image"]:
            at = parser.CurrentByteIndex  # of the end tag, or behind an element that is empty
            entries[-1].end = data.index(b">", at) + 1 if re.match(rb"</image[\s>]", data[at : at + 8]) else at
        above.pop()

    def refuse(*_: object) -> None:
        raise KpError(f"{path}: the XML declares entities, which are not read")

    parser.StartElementHandler, parser.EndElementHandler, parser.EntityDeclHandler = start, end, refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise KpError(f"cannot read {path}: not valid XML: {error}") from None
    if not entries:
        raise KpError(f"{path}: there are no <image> entries in <dataset><images>")
    return entries


def _entry_to_json(entry: _Entry, lead: str, text: str, path: str) -> dict:
    folder = posixpath.dirname(path)
    file, *others = (_name_below(folder, name) for name in spellings(entry.file))
    names = [file, *(name for name in others if is_unicode(name))]
    content = {"file": file, "names": names, "lead": lead, "boxes": len(entry.boxes)}
    try:
        element = parse_element(text)
        if folder:
            element.set("file", file)
            text = tostring(element, encoding="unicode")
        return content | {"text": text, "faces": _faces(entry)}
    except KpError as error:
        return content | {"text": text, "faces": [], "problem": str(error)}


def _name_below(folder: str, file: str) -> str:
    """A name in a label file of that folder, relative to the opened folder, where it will be saved."""
    return posixpath.normpath(posixpath.join(folder, file.replace("\\", "/"))) if folder else file


def _faces(entry: _Entry) -> list[dict]:
    """The boxes that are not ignored, with the checks of `data.dlib_xml`."""
    faces = []
    for source, (box, parts) in enumerate(entry.boxes):
        if is_left_out(box):
            continue
        corners = [_number(box, name, "box") for name in _CORNERS]
        check_box_size(*corners[2:])
        points = {}
        for part in parts:
            name = part.get("name", "")
            if name in points:
                raise KpError(f"part {name[:40]!r} occurs twice in a box")
            points[name] = [_number(part, axis, f"part {name[:40]!r}") for axis in ("x", "y")]
        todo = todo_of(box)
        faces.append({"source": source, "box": corners, "points": points} | ({} if todo is None else {"todo": todo}))
    return faces


def _number(attributes: Mapping[str, str], name: str, owner: str) -> float:
    return parse_coordinate(attributes.get(name, ""), f"{owner}: expected a number {name}")


def parse_element(text: str) -> Element:
    """An entry by itself. Raises KpError if it needs what surrounds it."""
    parser = XMLParser(target=TreeBuilder(insert_comments=True, insert_pis=True))
    try:
        parser.feed(text)
        return parser.close()
    except SyntaxError as error:  # a prefix that is declared outside the entry
        raise KpError(f"cannot read the entry by itself: {error}") from None


def replace_faces(texts: Sequence[str], file: str, faces: Sequence[SourcedFace]) -> list[str]:
    """The entries of a photograph with other faces: boxes that are kept hold whatever else they have."""
    elements = [parse_element(text) for text in texts]
    kept = {face.source: face for face in faces if face.source is not None}
    source = 0
    for element in elements:
        element.set("file", file)
        for box in element.findall("box"):
            if source in kept:
                _update_box(box, kept.pop(source))
            elif not is_left_out(box.attrib):
                element.remove(box)
            source += 1
    if kept:
        raise KpError(f"invalid request: {file} has no boxes {sorted(kept)}")
    for face in (face for face in faces if face.source is None):
        _update_box(SubElement(elements[-1], "box"), face)
    return [element_text(element) for element in elements]


def element_text(element: Element) -> str:
    """The text of an entry, indented."""
    indent(element, level=2)
    return tostring(element, encoding="unicode")


def _update_box(box: Element, sourced: SourcedFace) -> None:
    face = sourced.face
    for name, value in zip(_CORNERS, face.box, strict=True):
        _update_number(box, name, value)
    parts = {part.get("name"): part for part in box.findall("part")}
    for name, (x, y) in zip(face.scheme.names, face.points, strict=True):
        part = parts.get(name)
        if np.isnan(x + y):
            if part is not None:
                box.remove(part)
            continue
        part = SubElement(box, "part", name=name) if part is None else part
        _update_number(part, "x", x)
        _update_number(part, "y", y)
    if sourced.todo is not None:
        set_todo(box, sourced.todo)


def _update_number(element: Element, name: str, value: float) -> None:
    try:
        unchanged = abs(float(element.get(name, "")) - value) < _TOLERANCE
    except ValueError:
        unchanged = False
    if not unchanged:
        element.set(name, str(round(value)))
