"""A project: a folder with photographs, their labels, the scheme of the points and the networks trained on them.

FOLDER/points.xml     the labels, in dlib's XML
FOLDER/scheme.json    the points, as `train.py --scheme` takes them
FOLDER/colours.json   the colours of the groups
FOLDER/runs/          the networks
FOLDER/site/          the exported page
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kp_tf.apps.demo.labels_file import LabelsFile
from kp_tf.apps.demo.scheme_files import colours_of, read_colours, read_own_scheme, scheme_of_labels
from kp_tf.artifacts.runs import exclusive
from kp_tf.core.errors import KpError
from kp_tf.core.files import json_bytes, replacing, temporary_name
from kp_tf.core.image_files import SUFFIXES
from kp_tf.core.images import open_photograph
from kp_tf.core.keypoints import parse_scheme, spell_out
from kp_tf.data.names import check_name
from kp_tf.data.samples import check_inside

POINTS, SCHEME, COLOURS, RUNS, LOCK = "points.xml", "scheme.json", "colours.json", "runs", ".kp_tf.lock"
FRAMES = "frames"  # of clips and of the camera
FRAME = re.compile(r"[^./\\][^/\\]*\.png")
DRAWN = "drawn"  # the pictures of `kp-tf predict`
SITE = "site"  # the page without a server


class Project:
    """The files of a project.

    Attributes:
        folder: where they are.
        photographs: the names of all photographs, relative to the folder and sorted, each with why it cannot be used;
            empty if it can.
        labels: points.xml.
        scheme: the points; None as long as there are none.
        colours: CSS colours by group, of the groups whose colour was chosen.
    """

    def __init__(self, folder: Path) -> None:
        """Read what is there.

        Raises:
            KpError: if the folder or one of the project's files cannot be read.
        """
        self.folder = folder.resolve()
        if not self.folder.is_dir():
            raise KpError(f"cannot open {folder}: {'not a folder' if folder.exists() else 'no such folder'}")
        self._read()

    def _read(self) -> None:
        self.photographs = {name: _problem(self.folder, name) for name in _photographs_below(self.folder)}
        self.labels = LabelsFile(self.folder / POINTS, self.photographs)
        self.scheme = read_own_scheme(self.folder / SCHEME) or scheme_of_labels(self.labels)
        self.colours = read_colours(self.folder / COLOURS)

    def refresh(self) -> None:
        """Read again what other programs may have changed."""
        self._read()

    def point_colours(self) -> list[str]:
        """The colour of each point, by its group."""
        return colours_of(self.scheme, self.colours) if self.scheme else []

    def path(self, name: str) -> Path:
        """The file of a photograph.

        Raises:
            KpError: if it is none of the project's, or cannot be used.
        """
        if name not in self.photographs:
            raise KpError(f"there is no photograph {name!r} in {self.folder.name}; reload the page")
        if problem := self.photographs[name]:
            raise KpError(problem)
        return self.folder / name

    def add_frame(self, name: str, content: bytes) -> str:
        """Add a frame of a clip or of the camera to the photographs; one that is there already stays as it is.

        Args:
            name: of the file, which is written into the folder of frames.
            content: an image file.

        Returns:
            The name of the photograph.

        Raises:
            KpError: if the name is not that of a PNG, or the content no image, or it cannot be written.
        """
        check_name(name)
        if not FRAME.fullmatch(name):
            raise KpError(f"cannot add {name!r}: expected the name of a .png")
        photograph = f"{FRAMES}/{name}"
        check_inside(self.folder, photograph)
        path = self.folder / photograph
        if not path.exists():
            open_photograph(name, content)
            try:
                path.parent.mkdir(exist_ok=True)
            except OSError as error:
                raise KpError(f"cannot write {path.parent}: {error.strerror}") from None
            with replacing(path) as temporary:
                temporary.write_bytes(content)
        if photograph not in self.photographs:
            self.photographs[photograph] = ""
            self.labels.add_photograph(photograph)
        return photograph

    def change_scheme(self, content: object, colours: Mapping[str, str], renames: Mapping[str, str]) -> None:
        """Write the scheme and its colours, and let the labels follow.

        Args:
            content: as `parse_scheme` takes it.
            colours: CSS colours by group.
            renames: new names of points by their names in the present scheme; marks keep their points. Points that
                the present scheme lacks are to be marked in all boxes.

        Raises:
            KpError: if the content is not of this form, or a file cannot be written; all files are then as before.
        """
        scheme = parse_scheme(content, SCHEME)
        before = [renames.get(name, name) for name in self.scheme.names] if self.scheme else list(scheme.names)
        added = [name for name in scheme.names if name not in before]
        with ExitStack() as renamed_last:  # on a full disk, all files stay as they are
            for name, content in ((SCHEME, spell_out(scheme)), (COLOURS, dict(colours))):
                renamed_last.enter_context(replacing(self.folder / name)).write_bytes(json_bytes(content))
            self.labels.change_points(renames, scheme.names, added)
        self.scheme, self.colours = scheme, dict(colours)


@contextmanager
def opened(folder: Path) -> Iterator[Project]:
    """Open a project and keep other servers out of it. What a killed server left of a file is removed.

    Raises:
        KpError: if another server has it open, it cannot be written, or as `Project`.
    """
    if not folder.is_dir():
        Project(folder)  # says why not
    taken = f"{folder} is open already: another `kp-tf demo` serves it"
    with exclusive(folder / LOCK, taken, f"cannot write to {folder}"):
        _remove_leftovers(folder)
        yield Project(folder)


def _remove_leftovers(folder: Path) -> None:
    for name in (POINTS, SCHEME, COLOURS):
        for path in folder.glob(temporary_name(name, "*")):
            if path.stem.rpartition("-")[2].isdigit():
                path.unlink(missing_ok=True)


def _photographs_below(folder: Path) -> list[str]:
    """The photographs in a folder and its subfolders by their suffixes, apart from results and hidden files."""
    names, visited = [], set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real, inside = os.path.realpath(root), Path(root).relative_to(folder)
        left_out = {DRAWN} | ({RUNS, SITE} if Path(root) == folder else set())
        again = real in visited
        visited.add(real)
        folders[:] = [] if again else sorted(name for name in folders if name[0] != "." and name not in left_out)
        if not again:
            seen = (name for name in sorted(files) if name[0] != "." and Path(name).suffix.lower() in SUFFIXES)
            names += [(inside / name).as_posix() for name in seen]
    return names


def _problem(folder: Path, name: str) -> str:
    try:
        check_name(name)
        check_inside(folder, name)
    except KpError as error:
        return str(error)
    return ""
