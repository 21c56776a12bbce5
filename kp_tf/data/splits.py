"""Which photographs are kept for validation."""

import hashlib
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

IMM_VALIDATION_PEOPLE = range(33, 41)

LENIENT = "surrogatepass"  # for file names that are not in UTF-8


def in_imm_validation(file: str) -> bool:
    """Whether a photograph `NN-Kg.jpg` of IMM shows one of the people 33–40."""
    return int(file.split("-")[0]) in IMM_VALIDATION_PEOPLE


def in_validation(file: str) -> bool:
    """One photograph in ten of 300-W, by a hash of its key: the same for every seed, recipe and copy of the data."""
    return int(hashlib.sha256(photograph_key(file).encode(errors=LENIENT)).hexdigest()[:8], 16) % 10 == 0


def photograph_key(file: str) -> str:
    """What a file shares with its mirror image and with the other faces of the same photograph.

    The key is the folder and the stem without `_mirror` and, outside `lfpw/`, without the last `_N`: AFW, HELEN and
    iBUG name the faces of one photograph STEM_1, STEM_2; in LFPW, image_0001 is a whole name.
    """
    path = PurePosixPath(file)
    stem = path.stem.removesuffix("_mirror")
    if path.parts[0] != "lfpw":
        head, _, tail = stem.rpartition("_")
        stem = head if head and tail.isdigit() else stem
    return (path.parent / stem).as_posix()


def is_mirror(file: str) -> bool:
    """Whether the file is one of the mirrored photographs of dlib's release."""
    return PurePosixPath(file).stem.endswith("_mirror")


def hold_out_tenth(files: Sequence[str]) -> np.ndarray:
    """Which of N faces are kept for validation: a tenth of the photographs, at least one, by a hash of their names.

    Args:
        files: the photograph of each face.

    Returns:
        (N,) bool. With a single photograph nothing is held out.
    """
    photographs = sorted(set(files), key=lambda file: hashlib.sha256(file.encode(errors=LENIENT)).digest())
    count = max(1, round(len(photographs) / 10)) if len(photographs) > 1 else 0
    held_out = set(photographs[:count])
    return np.array([file in held_out for file in files])
