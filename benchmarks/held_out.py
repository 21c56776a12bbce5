"""Which pictures of `more_faces` are kept for validation, by the rule of its README. 300-W has its own rule."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

FOLDS = 5


def person_or_picture(file: str) -> str:
    """What the pictures of one person share, where the file name tells the person; elsewhere the file's own name.

    Args:
        file: the name in the set's XML, such as `fgnet/001a02.jpg`; its folder names the set.
    """
    path = PurePosixPath(file)
    if path.parent.name == "fgnet":
        return path.name[:3]
    if path.parent.name == "ytfaces":
        return re.sub(r"^(training|test)_|_\d\d$", "", path.stem)
    return path.name


def is_held_out(file: str) -> bool:
    """Whether a picture of `more_faces` is for validation and never for training: about one person in ten."""
    return int(hashlib.sha256(person_or_picture(file).encode()).hexdigest()[:8], 16) % 10 == 1


def fold_of(file: str) -> int:
    """The fold, from 0, that a picture of `more_faces` is in; pictures of one person are in the same."""
    return int(hashlib.sha256(person_or_picture(file).encode()).hexdigest()[8:16], 16) % FOLDS


def shows_held_out(photograph: str, faces: Iterable[str]) -> bool:
    """Whether a picture of `wflwphotos` is held out itself or shows a face of `wflw` that is.

    Most faces of `wflw` are cut out of photographs that `wflwphotos` has whole.

    Args:
        photograph: the name in `wflwphotos`, with or without the folder.
        faces: the names in `wflw`: a number, `_` and the photograph's name.
    """
    name = PurePosixPath(photograph).name
    cut = (face for face in map(PurePosixPath, faces) if face.name.partition("_")[2] == name)
    return is_held_out(f"wflwphotos/{name}") or any(is_held_out(f"wflw/{face.name}") for face in cut)
