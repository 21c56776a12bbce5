"""The pictures a detector learns from: grey, with faces as centre, side and angle."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from kp_tf.core.errors import KpError
from kp_tf.core.files import read_json
from kp_tf.core.images import open_photograph
from kp_tf.training.detector.targets import Boxes

MAX_FACE = 144  # pixels of a face's side in memory
MAX_SIDE = 720  # pixels of a picture's longer side in memory


@dataclass(frozen=True)
class Picture:
    """A picture in memory.

    Attributes:
        file: where it is from.
        grey: (H, W) uint8.
        boxes: in its pixels.
        is_complete: whether all of its faces are known, so that the rest of it is background.
        weight: how often its face is drawn if it has one alone; see `read_list`.
    """

    file: Path
    grey: np.ndarray
    boxes: Boxes
    is_complete: bool
    weight: float


def read_list(path: Path) -> dict[str, list[dict]]:
    """The entries `training` and `validation` of a JSON file of pictures.

    An entry has `file`, relative to the JSON's `root` or else to its folder; `faces`, a list of [x, y, side, angle] as
    in `targets.Boxes`; and optionally `ignored`, a list of [x, y, side], `complete` (true) and `weight` (1): how often
    its face is drawn if it has one alone; 0 shows the whole picture, never the face cut out.

    Raises:
        KpError: if it cannot be read or has no pictures for training.
    """
    content = read_json(path)
    root = path.parent / content.get("root", ".")
    parts = {}
    for part in ("training", "validation"):
        entries = content.get(part, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) and "file" in entry for entry in entries):
            raise KpError(f"{path}: {part} must be a list of pictures, each with its file and faces")
        parts[part] = [{**entry, "file": root / entry["file"]} for entry in entries]
    if not parts["training"]:
        raise KpError(f"{path}: there are no pictures for training")
    return parts


def load(entries: list[dict], shrink: bool = True) -> list[Picture]:
    """Decode pictures.

    Args:
        entries: of `read_list`.
        shrink: reduce those that are larger than mosaics need.
    """
    return [_load(entry, shrink) for entry in tqdm(entries, "reading", unit=" pictures", disable=None)]


def _load(entry: dict, shrink: bool) -> Picture:
    faces = np.array(entry.get("faces", []), np.float64).reshape(-1, 4)
    ignored = np.array(entry.get("ignored", []), np.float64).reshape(-1, 3)
    image = open_photograph(entry["file"]).upright.convert("L")
    if shrink:
        largest_face = faces[:, 2].max() if len(faces) else 1
        scale = min(1.0, MAX_FACE / largest_face if len(faces) == 1 else 1.0, MAX_SIDE / max(image.size))
        if scale < 1:
            size = [max(1, round(side * scale)) for side in image.size]
            image = image.resize((size[0], size[1]), Image.Resampling.BILINEAR)
            faces, ignored = faces * [scale, scale, scale, 1], ignored * scale
    boxes = Boxes(faces, ignored)
    return Picture(
        entry["file"], np.asarray(image), boxes, bool(entry.get("complete", True)), float(entry.get("weight", 1))
    )
