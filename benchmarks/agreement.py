"""The faces in whole photographs that two detectors agree on, for a third to learn from.

    python -m benchmarks.agreement --photographs DIR --out agreement.json

CenterFace sees each photograph at its own size and at twice that; BlazeFace (full range) as a whole and in overlapping
tiles, because it reduces what it sees to 192 pixels. OUT has for each file the boxes of both: what was found alone is
kept too, because such a place is neither a face to learn nor background.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks.launch import start_worker
from benchmarks.workers.protocol import Worker
from kp_tf.cli import exit_status
from kp_tf.core.files import visible, write_json
from kp_tf.core.geometry import overlaps

THRESHOLD = 0.15  # of CenterFace: below what it calls a face, so that background is background
TILES = (1, 2, 3)  # a photograph is seen in tiles of one half and one third of its sides, too
SAME = 0.4  # intersection over union from which two boxes of one detector are the same face
CUT = 0.03  # of a tile's side: a box this near to an edge inside the photograph is that of a face cut in two


def collect(photographs: Path, out: Path) -> None:
    """Write OUT: for each file of a folder the detections of both, best first."""
    files = visible(photographs.glob("*.jpg"), photographs)
    with (
        start_worker("centerface", threshold=THRESHOLD) as centerface,
        start_worker("blazeface", model="FULL") as blazeface,
    ):
        found = {
            file.name: {
                "centerface": _merged([_ask(centerface, file, None, scale) for scale in (1, 2)]),
                "blazeface": _merged([_ask(blazeface, file, tile, 1) for tile in _tiles(file)]),
            }
            for file in tqdm(files, unit=" pictures", disable=None)
        }
    write_json(out, found)


def _tiles(file: Path) -> Iterator[list[int]]:
    """Windows of a photograph: the whole of it, and squares that overlap by half."""
    width, height = Image.open(file).size
    for parts in TILES:
        side = [-(-width // parts), -(-height // parts)]
        for x in np.linspace(0, width - side[0], 2 * parts - 1).round().astype(int).tolist():
            for y in np.linspace(0, height - side[1], 2 * parts - 1).round().astype(int).tolist():
                yield [x, y, *side]


def _ask(worker: Worker, file: Path, window: list[int] | None, scale: float) -> list[dict]:
    """The detections in a window of a file, in pixels of the file."""
    answer = worker.ask("detect", file=str(file), window=window, scale=scale)
    left, top, *size = window or (0, 0, *Image.open(file).size)
    whole, found = np.array(Image.open(file).size), []
    for index, (box, score) in enumerate(zip(answer["boxes"], answer["scores"], strict=True)):
        low, high = np.array(box[:2]), np.array(box[:2]) + box[2:]
        near_start = (low < CUT * np.array(size)) & (np.array([left, top]) > 0)
        near_end = (high > (1 - CUT) * np.array(size)) & (np.array([left, top]) + size < whole)
        if window and (near_start | near_end).any():
            continue
        place = [*(low / scale + (left, top)), *(np.array(box[2:]) / scale)]
        face = {"box": np.round(place, 1).tolist(), "score": round(score, 3)}
        if "points" in answer:
            face["points"] = np.round(np.array(answer["points"][index]) / scale + (left, top), 1).tolist()
        found.append(face)
    return found


def _merged(several: list[list[dict]]) -> list[dict]:
    """The detections of several views, each face once: those with higher scores first."""
    kept: list[dict] = []
    for face in sorted((face for one in several for face in one), key=lambda face: -face["score"]):
        if not kept or overlaps(np.array([one["box"] for one in kept]), np.array(face["box"])).max() < SAME:
            kept.append(face)
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description="Faces that CenterFace and BlazeFace find in photographs.")
    parser.add_argument("--photographs", metavar="DIR", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--out", metavar="FILE", type=Path, default=Path("agreement.json"))
    return exit_status("benchmarks.agreement:collect", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
