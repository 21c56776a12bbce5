"""Boxes with points that are still to be marked: noted in the box, which training ignores until it is finished."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from xml.etree.ElementTree import Element

from kp_tf.data.dlib_xml import is_ignored

_TODO = "todo"  # the attribute of a box that names these points, as JSON


def set_todo(box: Element, todo: Sequence[str]) -> None:
    """Note in a box which points are still to be marked."""
    for name in ("ignore", _TODO):
        box.attrib.pop(name, None)
    if todo or box.find("part") is None:
        box.set("ignore", "1")
        box.set(_TODO, json.dumps(list(todo), ensure_ascii=False))


def todo_of(attributes: Mapping[str, str]) -> list[str] | None:
    """The points that are still to be marked in a box; None if it does not say."""
    with suppress(ValueError, RecursionError):
        todo = json.loads(attributes.get(_TODO, ""))
        return [str(name) for name in todo] if isinstance(todo, list) else None
    return None


def is_left_out(attributes: Mapping[str, str]) -> bool:
    """Whether a box is one to ignore; those that are not finished are ignored by training alone."""
    return is_ignored(attributes) and todo_of(attributes) is None
