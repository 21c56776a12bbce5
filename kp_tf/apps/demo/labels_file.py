"""points.xml of a project. Each change is written at once, and whatever the page does not show stays as it was."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, tostring

from kp_tf.apps.demo import labels
from kp_tf.apps.demo.unfinished import is_left_out, set_todo, todo_of
from kp_tf.core.errors import KpError
from kp_tf.core.files import check_regular, replacing
from kp_tf.data.names import PhotographFinder


class LabelsFile:
    """The labels as they are on disk.

    A face's source counts the boxes of its photograph as they were when the file was read, so that a change which is
    sent twice is made once.

    Attributes:
        path: of points.xml.
        version: counts the changes.
    """

    def __init__(self, path: Path, photographs: Iterable[str]) -> None:
        """Read the file, if it is there.

        Args:
            path: of points.xml.
            photographs: the names of the photographs in its folder.

        Raises:
            KpError: if it is not XML, or has no entries.
        """
        self.path, self.version, self._names = path, 0, set(photographs)
        self._read()

    def _read(self) -> None:
        self._content = self._content_on_disk()
        opened = labels.NEW_FILE if self._content is None else labels.read_labels(self._content, self.path.name)
        self._opened = opened
        self._entries: dict[str, list[dict]] = {}  # by photograph
        finder = PhotographFinder(self.path.parent)
        for entry in opened["entries"]:
            self._entries.setdefault(self._photograph(finder, entry["file"]), []).append(entry)
        self._changed: dict[str, list[dict]] = {}  # the faces of the photographs that were changed
        self._texts: dict[str, list[str]] = {}  # likewise: of their entries

    def _photograph(self, finder: PhotographFinder, file: str) -> str:
        """The photograph that an entry is about; empty if it is none, so that the entry stays as it is."""
        try:
            name = os.path.normpath(finder.find(file))
        except KpError:
            return ""
        return name if name in self._names else ""

    def add_photograph(self, name: str) -> None:
        """Let a photograph that has been added to the folder have labels, also those that the file has already."""
        self._names.add(name)
        finder = PhotographFinder(self.path.parent)
        for entry in self._entries.pop("", []):
            self._entries.setdefault(self._photograph(finder, entry["file"]), []).append(entry)

    def faces(self, name: str) -> list[dict]:
        """The faces of a photograph: source, box and points by name in pixels as stored, and the points to mark (todo).

        Raises:
            KpError: if its entry has a number that cannot be used.
        """
        if name in self._changed:
            return self._changed[name]
        faces, earlier = [], 0
        for entry in self._entries.get(name, ()):
            if "problem" in entry:
                raise KpError(f"cannot use the labels of {name}: {entry['problem']}")
            faces += [{"todo": [], **face, "source": earlier + face["source"]} for face in entry["faces"]]
            earlier += entry["boxes"]
        return faces

    def state(self, name: str) -> str:
        """How far a photograph is: new, begun, done, none (there is nothing to mark in it) or problem."""
        entries = self._entries.get(name, ())
        if not entries and name not in self._changed:
            return "new"
        try:
            faces = self.faces(name)
        except KpError:
            return "problem"
        if not faces:
            return "none"
        return "begun" if any(face["todo"] for face in faces) else "done"

    def point_names(self) -> set[str]:
        """The names of all points in the file, as it was read."""
        return {name for entry in self._opened["entries"] for face in entry["faces"] for name in face["points"]}

    def finished(self) -> list[str]:
        """The photographs whose points are all marked, in the order of the entries."""
        return [name for name in dict.fromkeys([*self._entries, *self._changed]) if name and self.state(name) == "done"]

    def replace(self, name: str, faces: Sequence[labels.SourcedFace], nothing: bool = True) -> None:
        """Replace the faces of a photograph, and write the file.

        Args:
            name: of the photograph.
            faces: all that it has now.
            nothing: without faces, whether there is nothing to mark in it. Otherwise it is as if it had not been seen,
                unless the file has an entry for it already.

        Raises:
            KpError: if it cannot be written, or another program has changed it; nothing is changed then.
        """
        self.faces(name)  # labels that cannot be used are not replaced
        before = [entry["text"] for entry in self._entries.get(name, ())]
        is_unseen = not (before or faces or nothing)
        texts = {**self._texts, name: [] if is_unseen else labels.replace_faces(before or ["<image />"], name, faces)}
        self._write(self._joined(texts) if self._opened["entries"] or any(texts.values()) else None)
        self._texts = texts
        self._changed[name] = [_as_dict(face) for face in faces]
        if is_unseen:
            del self._changed[name]

    def change_points(self, renames: Mapping[str, str], names: Sequence[str], added: Sequence[str]) -> None:
        """Rename points in all boxes, and let new ones be marked.

        Args:
            renames: new names by old ones.
            names: of all points afterwards.
            added: those among them that are to be marked in every box.

        Raises:
            KpError: as `replace`, or if a box would have two points of one name.
        """
        if self._content is None:
            return
        opened = labels.read_labels(self._content, self.path.name)
        texts = []
        for entry in opened["entries"]:
            element = None if "problem" in entry else labels.parse_element(entry["text"])
            changed = element is not None and _change_boxes(element, renames, names, added)
            texts.append(entry["lead"] + (labels.element_text(element) if element and changed else entry["text"]))
        self._write("".join([opened["head"], *texts, opened["tail"]]))
        self._read()

    def _joined(self, changed: Mapping[str, list[str]]) -> str:
        """The whole file with other texts for the entries of some photographs."""
        texts = {name: iter(of_photograph) for name, of_photograph in changed.items()}
        ours = {id(entry): name for name, entries in self._entries.items() for entry in entries if name in changed}
        parts = [str(self._opened["head"])]
        for entry in self._opened["entries"]:
            parts += [entry["lead"], next(texts[ours[id(entry)]]) if id(entry) in ours else entry["text"]]
        parts += [f"\n    {text}" for rest in texts.values() for text in rest]
        return "".join([*parts, str(self._opened["tail"])])

    def _write(self, text: str | None) -> None:
        """Write the file, or remove it where there is nothing left to say."""
        content = None if text is None else text.encode()
        if self._content_on_disk() != self._content:
            raise KpError(
                f"{self.path.name} was changed by another program. Reload the page to take in what is there now; "
                "the last change was not saved"
            )
        if content is None:
            self.path.unlink(missing_ok=True)
        else:
            with replacing(self.path) as temporary, temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        self._content = content
        self.version += 1

    def _content_on_disk(self) -> bytes | None:
        if not os.path.lexists(self.path):
            return None
        check_regular(self.path)
        return self.path.read_bytes()


def _change_boxes(image: Element, renames: Mapping[str, str], names: Sequence[str], added: Sequence[str]) -> bool:
    """Change the points of an entry's boxes, as `LabelsFile.change_points`; tells whether that changed anything."""
    before = tostring(image)
    for box in image.findall("box"):
        for part in box.findall("part"):
            part.set("name", renames.get(part.get("name", ""), part.get("name", "")))
        found = [part.get("name") for part in box.findall("part")]
        if len(set(found)) != len(found):
            raise KpError(f"{image.get('file')}: a box would have two points of one name; choose another name")
        todo = {renames.get(name, name) for name in todo_of(box.attrib) or ()} | set(added)
        if not is_left_out(box.attrib) and (todo or todo_of(box.attrib)):
            set_todo(box, [name for name in names if name in todo and name not in found])
    return tostring(image) != before


def _as_dict(sourced: labels.SourcedFace) -> dict:
    face = sourced.face
    named = zip(face.scheme.names, face.points.tolist(), strict=True)
    points = {name: point for name, point in named if point[0] == point[0]}
    return {"source": sourced.source, "box": face.box.tolist(), "points": points, "todo": list(sourced.todo or ())}
