"""XML files: reading that is safe for large and hostile ones, and writing."""

import re
from collections.abc import Container, Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, indent, tostring

from kp_tf.core.errors import KpError
from kp_tf.core.files import check_regular

NOT_IN_XML = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # characters
MAX_DEPTH = 50  # levels of elements; label files have five to eight


def read_elements(path: Path, wanted: Container[tuple[str, ...]]) -> Iterator[Element]:
    """The elements at some places of an XML file, in its order. A tree of all would be twenty times the file.

    Args:
        path: the XML file.
        wanted: tags from below the root down to the element, such as ("images", "image").

    Raises:
        KpError: if the file is missing, does not parse, has entities, or is nested too deeply.
    """
    from defusedxml import DefusedXmlException  # writing needs none of it
    from defusedxml.ElementTree import iterparse

    check_regular(path)
    above: list[Element] = []
    try:
        with path.open("rb") as file:
            for event, element in iterparse(file, events=("start", "end")):
                if event == "start":
                    if len(above) == MAX_DEPTH:
                        raise KpError(f"{path}: the XML is nested more than {MAX_DEPTH} levels deep")
                    above.append(element)
                    continue
                above.pop()
                if above and tuple(parent.tag for parent in (*above[1:], element)) in wanted:
                    yield element
                    above[-1].clear()
    except ParseError as error:
        raise KpError(f"{path}: not valid XML: {error}{_about_encoding(path)}") from None
    except OSError as error:
        raise KpError(f"cannot read {path}: {error.strerror}") from None
    except (DefusedXmlException, ValueError, LookupError) as error:
        raise KpError(f"{path}: expected plain XML without entities, found: {error}") from None


def _about_encoding(path: Path) -> str:
    """What to do about a file that states no encoding, or UTF-8, and has other bytes."""
    content = path.read_bytes()
    try:
        content.decode()
    except UnicodeDecodeError as error:
        if b"encoding" not in content[:100] or re.search(rb"encoding\s*=\s*.utf-8", content[:100], re.IGNORECASE):
            line = content[: error.start].count(b"\n") + 1
            return f"; line {line} is not in UTF-8: state the encoding, such as ISO-8859-1, in the first line"
    return ""


def root_tag(path: Path) -> str:
    """The tag of the outermost element; empty if the file is no XML."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import iterparse

    try:
        with path.open("rb") as file:
            return next(element.tag for _, element in iterparse(file, events=("start",)))
    except (ParseError, OSError, DefusedXmlException, ValueError, LookupError, StopIteration):
        return ""


def as_xml(root: Element) -> bytes:
    """An indented XML file.

    Raises:
        KpError: if a text holds a character that XML cannot express.
    """
    indent(root)
    text = tostring(root, encoding="unicode")
    if bad := NOT_IN_XML.search(text):
        raise KpError(f"XML cannot express the character {bad[0]!r} in {text[max(bad.start() - 20, 0) : bad.end()]!r}")
    return b"<?xml version='1.0' encoding='utf-8'?>\n" + text.encode()
