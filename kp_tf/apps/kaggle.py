"""The competition's CSV: one row per coordinate, image by image in order, x before y; and the command for it."""

import csv
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

from kp_tf.artifacts.weights import choose_run
from kp_tf.backends.inference import load_network, predict_records
from kp_tf.core.errors import KpError, raise_all
from kp_tf.core.files import read_npz, replacing
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.datasets import find_data, read_test
from kp_tf.data.dlib_xml import read_dlib_xml
from kp_tf.data.samples import Records

HEADER = ["Id", "Predicted"]
SHAPE = (len(IBUG68), 2)  # of a face
DECIMALS = 4  # of a pixel


def predict_kaggle(
    run: str | None = None,
    data: str | None = None,
    labels: Path | None = None,
    out: Path | None = None,
    flips: bool | None = None,
    precision: str = "float32",
    shard: str | None = None,
    merge: bool = False,
) -> Path:
    """Predict the test photographs and write the competition's CSV.

    Args:
        run: see `weights.choose_run`; its network has 68 points.
        data: see `readers.datasets.find_data`.
        labels: dlib's XML of photographs and boxes, its files beside it; `data` is not consulted then.
        out: by default submission.csv, or submission-sample.csv for drawn faces.
        flips: take the mean of each face's prediction and its mirror image's; None: unless the network is the
            course's.
        precision: see `precision.resolve`.
        shard: `I/N` predicts the I-th of N parts alone and writes it beside `out`, as `….I-of-N.npz`.
        merge: predict nothing; join the parts that `shard` wrote for the same network and photographs.

    Returns:
        The path of the CSV, or of the part.

    Raises:
        KpError: if there is no run to use, the XML or a photograph is bad, or a part is missing or another's.
            No CSV is written then.
    """
    part = parse_shard(shard) if shard else (1, 1)
    if shard and merge:
        raise KpError(f"--shard {shard}: expected no --shard with --merge, found both")
    chosen = choose_run(run)
    if chosen.scheme != IBUG68:
        raise KpError(f"--run {run}: expected a run with 68 points, found one with {chosen.scheme.name}")
    print(f"Predicting with {chosen.path}, completed {chosen.metrics['completed'][:16].replace('T', ' ')} UTC")
    source = None if labels else find_data(data, "ibug")
    records = read_dlib_xml(labels, IBUG68, labelled=False) if labels else read_test(source)
    out = out or Path("submission-sample.csv" if source and source.sample else "submission.csv")
    if not out.parent.is_dir():
        raise KpError(f"--out {out}: expected a folder {out.parent} to write to, found none")
    flips = chosen.recipe.network == "heatmap" if flips is None else flips

    def predicted(faces: Records) -> np.ndarray:
        return predict_records(load_network(chosen, precision), faces, chosen, flips=flips)

    if shard or merge:
        network = json.dumps(chosen.metrics, sort_keys=True)
        known = [network, str(flips), precision, *records.files, *map(str, records.boxes.ravel())]
        key = hashlib.sha256("\n".join(known).encode()).hexdigest()
    if shard:
        mine = records.take(np.array_split(np.arange(len(records)), part[1])[part[0] - 1])
        if not len(mine):
            raise KpError(f"--shard {shard}: expected at most {len(records)} parts, one for each face, found more")
        return write_part(out, part, predicted(mine), key)
    points = read_parts(out, key) if merge else predicted(records)
    rows = write_submission(points, out)
    print(f"{out}: {rows:,} rows for {len(records):,} faces of {records.root}, read back and checked")
    return out


def parse_shard(text: str) -> tuple[int, int]:
    """`I/N` as two numbers, 1 ≤ I ≤ N."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    number, count = (int(group) for group in found.groups()) if found else (0, 0)
    if not 1 <= number <= count:
        raise KpError(f"--shard {text}: expected I/N with I from 1 to N, such as 2/5")
    return number, count


def write_part(out: Path, part: tuple[int, int], points: np.ndarray, key: str) -> Path:
    """Write the points (n, 68, 2) of one part beside `out`; `key` says what they were predicted from."""
    path = out.with_name(f"{out.stem}.{part[0]}-of-{part[1]}.npz")
    with replacing(path) as temporary:
        np.savez(temporary, points=points, key=np.array(key))
    print(f"{path}: {len(points):,} faces, part {part[0]} of {part[1]}")
    return path


def read_parts(out: Path, key: str) -> np.ndarray:
    """All points (N, 68, 2) of the parts beside `out`, in order.

    Raises:
        KpError: if a part is missing or doubled, or of another network or other photographs.
    """
    named = re.compile(re.escape(out.stem) + r"\.(\d+)-of-(\d+)\.npz")
    found = {
        tuple(map(int, match.groups())) for path in out.parent.iterdir() if (match := named.fullmatch(path.name))
    }
    counts = {count for _, count in found}
    if len(counts) != 1:
        what = f"parts of {' and of '.join(map(str, sorted(counts)))}" if counts else "none"
        raise KpError(f"--merge: expected the parts of one division, {out.stem}.1-of-N.npz …, found {what}")
    (count,) = counts
    if missing := [number for number in range(1, count + 1) if (number, count) not in found]:
        raise KpError(f"--merge: expected {count} parts, found no {out.stem}.{missing[0]}-of-{count}.npz")
    parts = []
    for number in range(1, count + 1):
        path = out.with_name(f"{out.stem}.{number}-of-{count}.npz")
        content = read_npz(path, "a part as --shard writes it")
        if not {"key", "points"} <= set(content) or str(content["key"]) != key:
            raise KpError(f"{path}: expected a part of this network and these photographs, found another's")
        parts.append(content["points"])
    return np.concatenate(parts)


def write_submission(points: np.ndarray, out: Path) -> int:
    """Write points as the competition's CSV, read it back, and only then give it its name.

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
        raise KpError(f"{out}: expected points of shape (N, 68, 2), N at least 1, found {points.shape}")
    bad = [
        f"{out}: image {n}, point {k}, {'xy'[c]}: expected a finite number, found {points[n, k, c]}"
        for n, k, c in np.argwhere(~np.isfinite(points))
    ]
    raise_all(bad, "values that are not finite")
    table = pd.DataFrame({"Id": np.arange(points.size), "Predicted": points.ravel()})
    with replacing(out) as temporary:
        table.to_csv(temporary, index=False, float_format=f"%.{DECIMALS}f", lineterminator="\n")
        back = read_submission(temporary, len(points))
        if not np.allclose(back, points, rtol=1e-9, atol=0.501 * 10**-DECIMALS):
            raise KpError(f"{out}: expected to read back what was written, found other values; nothing was kept")
    return points.size


def read_submission(path: Path, faces: int) -> np.ndarray:
    """Read and check the competition's CSV.

    Args:
        path: the CSV.
        faces: N, how many images it must hold.

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
        raise KpError(f"{path}: expected a CSV of two columns, found: {error}") from error
    if list(table.iloc[0]) != HEADER:
        raise KpError(f"{path}, line 1: expected {','.join(HEADER)}, found {','.join(table.iloc[0])}")
    ids, texts = table[0].to_numpy()[1:], table[1].to_numpy()[1:]
    wanted = np.arange(faces * SHAPE[0] * SHAPE[1])
    if len(ids) != len(wanted):
        raise KpError(
            f"{path}, line {len(ids) + 1}, the last: expected {len(wanted):,} rows below the header "
            f"({faces:,} images), found {len(ids):,}"
        )
    values = pd.to_numeric(pd.Series(texts), errors="coerce").to_numpy(np.float64)
    _raise_first(path, ids != wanted.astype(str), ids, "its Id, counted from 0")
    _raise_first(path, ~np.isfinite(values), texts, "a finite number")
    return values.reshape(faces, *SHAPE)


def _raise_first(path: Path, bad: np.ndarray, texts: np.ndarray, expected: str) -> None:
    """Raise KpError for the first row where `bad` (rows,) holds."""
    if bad.any():
        row = int(bad.argmax())
        raise KpError(f"{path}, line {row + 2}: expected {expected}, found {texts[row]!r}")
