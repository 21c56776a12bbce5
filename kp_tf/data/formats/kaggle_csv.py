"""The CSV of Kaggle's Facial Keypoints Detection: 15 points and a grey picture of 96 × 96 pixels in each row.

Coordinates are indices of pixels, so that the centre of the top left pixel is (0, 0). A point whose columns are empty
is absent. The box of a face is its whole picture. Since the pictures are in the CSV, they are written as PNGs before
anything else can use the labels.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from kp_tf.core.errors import KpError, raise_problems
from kp_tf.core.files import check_regular, write_files
from kp_tf.core.geometry import crop_windows, to_pixels, to_unit
from kp_tf.core.images import crop_image, open_photograph
from kp_tf.core.keypoints import KAGGLE15
from kp_tf.data.formats.face_list import Point, number, shown
from kp_tf.data.samples import Samples

SIDE = 96  # pixels
PICTURE = "Image"  # the column
COLUMNS = tuple(f"{name}_{axis}" for name in KAGGLE15.names for axis in "xy")
DECIMALS = 10


def recognizes(path: Path) -> bool:
    """Whether a file is text whose first line names the columns."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.readline(10_000).decode("utf-8-sig")
        return set(COLUMNS) <= set(next(csv.reader([head]), []))
    except (OSError, ValueError, csv.Error):
        return False


def read(path: Path, allow_outside: bool | None = None) -> Samples:
    """Refuse to train or evaluate on the CSV, whose pictures have to become files first.

    Raises:
        KpError: always, with the command that makes them.
    """
    target = path.with_suffix("") / "labels.json"
    raise KpError(f"{path} holds its pictures itself; `kp-tf convert {path} {target} --to coco` unpacks them")


def unpack(path: Path, folder: Path) -> tuple[Samples, tuple[str, ...]]:
    """Read the CSV and write its pictures as `pictures/00001.png` and so on.

    Args:
        path: the CSV.
        folder: where the pictures are written.

    Returns:
        The samples and their pictures' names. Rows that cannot be used are left out and named in `problems`.

    Raises:
        KpError: if the file is missing, has not these columns, or no row can be used, or a picture cannot be written.
    """
    files, points, entries, problems = [], [], [], []
    for place, row in enumerate(_rows(path), 1):
        entry = f"{path.name}, row {place}"
        try:
            face, picture = _read_points(row), _read_picture(row.get(PICTURE))
        except KpError as problem:
            problems.append(f"{entry}: {problem}")
            continue
        files.append(f"pictures/{place:05d}.png")
        points.append(face)
        entries.append(entry)
        write_files({folder / files[-1]: picture})
    if not files:
        raise_problems(problems, f"rows of {path} cannot be used")
        raise KpError(f"{path}: there are no rows")
    boxes = np.tile([0.0, 0, SIDE, SIDE], (len(files), 1))
    known = (folder, tuple(files), boxes, np.array(points, np.float64), KAGGLE15)
    return Samples(*known, entries=tuple(entries), problems=tuple(problems)), tuple(files)


def render(target: Path, samples: Samples) -> dict[Path, bytes]:
    """The CSV: the square around each box, turned upright and resized to 96 × 96 grey pixels, and the points in it.

    Raises:
        KpError: if a point is none of Kaggle's 15, or a photograph cannot be read.
    """
    if unknown := set(samples.scheme.names) - set(KAGGLE15.names):
        raise KpError(f"{target}: Kaggle's CSV has 15 points of its own, and {min(unknown)!r} is none of them")
    samples = samples.with_scheme(KAGGLE15)
    upright = samples.upright(samples.orientations())
    windows = crop_windows(upright.boxes, 1.0)
    points = to_pixels(to_unit(upright.labels, windows), np.tile([0.0, 0, SIDE, SIDE], (len(samples), 1)))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, PICTURE])
    for file, window, face in zip(samples.files, windows, points, strict=True):
        grey = open_photograph(samples.root / file).upright.convert("L")
        pixels = crop_image(grey, window, (SIDE, SIDE))
        numbers = ["" if np.isnan(value) else f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".") for value in face.ravel()]
        writer.writerow([*numbers, " ".join(map(str, pixels.ravel().tolist()))])
    return {target: text.getvalue().encode()}


def _rows(path: Path) -> Iterator[dict[str, str]]:
    check_regular(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            missing = [name for name in (*COLUMNS, PICTURE) if name not in (reader.fieldnames or ())]
            if missing:
                raise KpError(f"{path}: expected Kaggle's columns, and {missing[0]} is missing")
            yield from reader
    except OSError as error:
        raise KpError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, csv.Error) as error:
        raise KpError(f"{path}: not a CSV of text: {error}") from None


def _read_points(row: dict[str, str]) -> list[Point]:
    values = [number(row[name], name) if row[name].strip() else np.nan for name in COLUMNS]
    points = list(zip(values[::2], values[1::2], strict=True))
    for name, point in zip(KAGGLE15.names, points, strict=True):
        if np.isnan(point).any() and not np.isnan(point).all():
            raise KpError(f"point {name} has only one of x and y")
    if np.isnan(values).all():
        raise KpError("a face has no points")
    return points


def _read_picture(text: str | None) -> bytes:
    try:
        values = np.array((text or "").split(), np.int64)
    except (ValueError, OverflowError):
        values = np.zeros(0)
    if len(values) != SIDE * SIDE or values.min() < 0 or values.max() > 255:
        raise KpError(f"expected {SIDE} × {SIDE} pixels from 0 to 255 in {PICTURE}, found {shown(text)}")
    file = io.BytesIO()
    Image.fromarray(values.astype(np.uint8).reshape(SIDE, SIDE)).save(file, "PNG")
    return file.getvalue()
