"""The label formats by name: how each is recognized, read and written (docs/formats.md)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from kp_tf.core.errors import KpError
from kp_tf.core.files import check_regular, list_folder, visible
from kp_tf.core.geometry import boxes_around_points
from kp_tf.core.keypoints import Scheme
from kp_tf.data.dlib_xml import as_dlib_xml, part_names, read_dlib_xml
from kp_tf.data.formats import coco, cvat, kaggle_csv, labelme, pts
from kp_tf.data.imm import read_imm
from kp_tf.data.samples import Samples
from kp_tf.data.xml_elements import root_tag


@dataclass(frozen=True)
class Format:
    """A label format.

    Attributes:
        recognizes: whether a file or folder is of this format.
        read: the samples of a file or folder, given it and `allow_outside` (see `samples.check_inside`).
        render: the contents of the files to write, given the target and the samples, whose names are relative to the
            target's folder. None: the format is only read.
        is_folder: whether the labels are a folder of files.
        names_photographs: whether the files name the photographs, so that these have to stay where they are.
    """

    recognizes: Callable[[Path], bool]
    read: Callable[[Path, bool | None], Samples]
    render: Callable[[Path, Samples], dict[Path, bytes]] | None
    is_folder: bool = False
    names_photographs: bool = True


def _read_dlib(path: Path, allow_outside: bool | None = None) -> Samples:
    scheme = Scheme("own", part_names(path), ())
    return read_dlib_xml(path, scheme, partial=True, allow_outside=allow_outside)


def _read_imm(path: Path, allow_outside: bool | None = None) -> Samples:
    samples = read_imm(path)
    return replace(samples, boxes=boxes_around_points(samples.labels))  # instead of whole photographs


def _is_dlib(path: Path) -> bool:
    return path.is_file() and root_tag(path) == "dataset"


def _is_imm(path: Path) -> bool:
    return path.is_dir() and bool(visible(path.glob("*.asf"), path))


FORMATS = {
    "dlib": Format(_is_dlib, _read_dlib, lambda target, samples: {target: as_dlib_xml(samples)}),
    "coco": Format(coco.recognizes, coco.read, coco.render),
    "cvat": Format(cvat.recognizes, cvat.read, cvat.render),
    "labelme": Format(labelme.recognizes, labelme.read, labelme.render, is_folder=True),
    "pts": Format(pts.recognizes, pts.read, pts.render, is_folder=True),
    "kaggle": Format(kaggle_csv.recognizes, kaggle_csv.read, kaggle_csv.render, names_photographs=False),
    "imm": Format(_is_imm, _read_imm, None, is_folder=True),
}
BY_SUFFIX = {".xml": "dlib", ".json": "coco", ".csv": "kaggle"}  # whose readers say what is wrong with a file


def find_format(path: Path) -> str:
    """The name of the format of a file or folder of labels, by its content.

    Raises:
        KpError: if it is missing, or of none of the formats or of several.
    """
    if path.is_dir():
        list_folder(path)  # says so if it may not be read
    else:
        check_regular(path)
    names = [name for name, kind in FORMATS.items() if kind.recognizes(path)]
    if not names and path.is_file() and path.suffix.lower() in BY_SUFFIX:
        return BY_SUFFIX[path.suffix.lower()]
    if not names:
        folders = ", ".join(name for name, kind in FORMATS.items() if kind.is_folder)
        what = f"a folder of {folders}" if path.is_dir() else f"one of {', '.join(FORMATS)} ({folders} are folders)"
        raise KpError(f"{path}: expected labels, {what}")
    if len(names) > 1:
        raise KpError(
            f"{path}: the folder holds labels of {' and '.join(names)}; `kp-tf convert --from` takes one of them"
        )
    return names[0]


def read_labels(
    path: Path, scheme: Scheme | None = None, partial: bool = True, allow_outside: bool | None = None
) -> Samples:
    """Read labels of any format.

    Args:
        path: the file or folder.
        scheme: the points to take. Default: all that the labels name.
        partial: of dlib's XML, whether points may be absent; in the other formats they always may.
        allow_outside: see `samples.check_inside`.

    Raises:
        KpError: if the format is not known, or no face can be used.
    """
    name = find_format(path)
    if name == "dlib" and scheme:
        return read_dlib_xml(path, scheme, partial=partial, allow_outside=allow_outside)
    samples = FORMATS[name].read(path, allow_outside)
    return samples.with_scheme(scheme) if scheme else samples


def label_names(path: Path, allow_outside: bool | None = None) -> tuple[str, ...]:
    """The names of all points in labels of any format. Raises KpError as `read_labels`."""
    is_dlib = find_format(path) == "dlib"
    return part_names(path) if is_dlib else read_labels(path, allow_outside=allow_outside).scheme.names
