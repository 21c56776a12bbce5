"""The competition's CSV: one row per coordinate, image by image in order, x before y."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from kp_tf.core.errors import KpError, raise_problems
from kp_tf.core.files import replacing
from kp_tf.core.keypoints import IBUG68

HEADER = ["Id", "Predicted"]
SHAPE = (len(IBUG68), 2)  # of a face
DECIMALS = 4  # of a pixel


def write_submission(points: np.ndarray, out: Path) -> int:
    """Write points as the competition's CSV. The file is read back and checked before it gets its name.

    Args:
        points: (N, 68, 2) x, y in pixels of the photograph, in the order of the test XML.
        out: the CSV; an earlier one is replaced.

    Returns:
        The number of rows, 136 N.

    Raises:
        KpError: for a wrong shape, values that are not finite, or a file that cannot be written or read back.
    """
    points, out = np.asarray(points, np.float64), Path(out)
    if points.shape[1:] != SHAPE or not len(points):
        raise KpError(f"{out}: a submission needs points of shape (N, 68, 2), not {points.shape}")
    bad = [
        f"{out}: image {n}, point {k}, {'xy'[c]} is {points[n, k, c]}" for n, k, c in np.argwhere(~np.isfinite(points))
    ]
    raise_problems(bad, "values are not finite")
    table = pd.DataFrame({"Id": np.arange(points.size), "Predicted": points.ravel()})
    with replacing(out) as temporary:
        table.to_csv(temporary, index=False, float_format=f"%.{DECIMALS}f", lineterminator="\n")
        back = read_submission(temporary, len(points))
        if not np.allclose(back, points, rtol=1e-9, atol=0.501 * 10**-DECIMALS):
            raise KpError(f"{out}: the file did not read back as it was written, and was not kept")
    return points.size


def read_submission(path: Path, faces: int) -> np.ndarray:
    """Read and check the competition's CSV.

    Args:
        path: the CSV.
        faces: N, the number of images that it must hold.

    Returns:
        (N, 68, 2) x, y in pixels of the photograph.

    Raises:
        KpError: naming file and line, for a wrong header, number of rows, Id or value.
    """
    try:  # all as text, the header too: row i is line i + 1
        table = pd.read_csv(
            path, header=None, dtype=str, na_filter=False, skip_blank_lines=False, quoting=csv.QUOTE_NONE
        )
    except (OSError, ValueError) as error:
        raise KpError(f"cannot read {path} as a CSV of two columns: {error}") from error
    if list(table.iloc[0]) != HEADER:
        raise KpError(f"{path}, line 1: expected {','.join(HEADER)}, found {','.join(table.iloc[0])}")
    ids, texts = table[0].to_numpy()[1:], table[1].to_numpy()[1:]
    wanted = np.arange(faces * SHAPE[0] * SHAPE[1])
    if len(ids) != len(wanted):
        raise KpError(
            f"{path}, line {len(ids) + 1}, the last: expected {len(wanted):,} rows below the header "
            f"({faces:,} images), found {len(ids):,}"
        )
    values = np.asarray(pd.to_numeric(pd.Series(texts), errors="coerce"), np.float64)
    _raise_first(path, ids != wanted.astype(str), ids, "its Id, counted from 0")
    _raise_first(path, ~np.isfinite(values), texts, "a finite number")
    return values.reshape(faces, *SHAPE)


def _raise_first(path: Path, bad: np.ndarray, texts: np.ndarray, expected: str) -> None:
    """Raise KpError for the first of the rows that are bad (rows,)."""
    if bad.any():
        row = int(bad.argmax())
        raise KpError(f"{path}, line {row + 2}: expected {expected}, found {texts[row]!r}")
