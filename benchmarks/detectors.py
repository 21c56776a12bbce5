"""Face detectors: the faces they find, what else they take for faces, and their time.

    python -m benchmarks.agreement --photographs DIR/more_faces/wflwphotos --out agreement.json
    python -m benchmarks.detectors --data DIR --agreement agreement.json --out detectors

All of them are those of `kp_tf.predict.detectors`, in an environment that has their packages; with `--check compact`,
the default one also without what the network discards, as in `Predictor`. They take turns, picture by picture. Faces:
300-W's validation faces, the infants and hard faces of `more_faces`, a tenth of its whole photographs, against what
CenterFace and BlazeFace agree on, and sheets of IMM's people 33–40, turned by any angle. Pictures without faces:
backgrounds of those photographs, scikit-image's pictures, and drawn textures. Also the median difference of the boxes
from 300 labelled training faces, from which the detectors' corrections are made. Writes OUT.json, OUT.md and OUT.png,
the faces found by the number of false finds.
"""

import argparse
import sys
import tempfile
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from benchmarks import detection_sets
from benchmarks.detection_scores import (
    FALSE_FINDS,
    Judged,
    Result,
    counts,
    judge,
    thresholds_by_false_finds,
    together,
)
from benchmarks.detection_sets import Scene
from benchmarks.interleave import interleave, quartiles
from benchmarks.launch import start_worker
from benchmarks.report import processor, save_table
from benchmarks.virtualenvs import CACHE
from benchmarks.workers.protocol import Worker
from kp_tf.cli import exit_status
from kp_tf.core.errors import KpError
from kp_tf.core.geometry import overlaps, rotated
from kp_tf.data.datasets import IbugDataset
from kp_tf.data.imm import read_imm
from kp_tf.data.layout import FOLDERS
from kp_tf.data.samples import Samples
from kp_tf.evaluate.canvas import save_figure
from kp_tf.predict.detectors import DEFAULT, MODULES

LOWEST = {"dlib": -0.5}  # scores from which detections are taken here, to see what lower thresholds would do
USUAL_LOWEST = 0.1
CORRECTION_FACES = 300
MIN_RAW_OVERLAP = 0.2  # intersection over union from which a box is compared with the labelled one
TIMED = 60  # photographs of 640 × 480 pixels
ANGLES = (0, 30, 90, 180)  # degrees: groups of the faces on sheets
COLUMNS = ("300-W", "infanface", "infanface, validation", "wflw", "wflw, validation", "photographs")


def compare(
    data: Path, agreement: Path, out: Path, detectors: list[str], check: str | None, limit: int | None = None
) -> None:
    """Measure the detectors, the default one also with the network CHECK; write OUT.json, OUT.md and OUT.png."""
    training = IbugDataset(data / FOLDERS["ibug"]).read_split().training
    training = training.take(np.linspace(0, len(training) - 1, CORRECTION_FACES).round().astype(int)[:limit])
    imm = read_imm(data / FOLDERS["imm"])
    workers = {name: _start(name) for name in detectors}
    if check:
        workers[f"{DEFAULT} + {check}"] = _start(DEFAULT, check)
    with tempfile.TemporaryDirectory() as folder:
        groups = {name: scenes[:limit] for name, scenes in _scenes(data, agreement, Path(folder)).items()}
        files = [training.root / file for file in training.files]
        files += [scene.file for scenes in groups.values() for scene in scenes]
        timed = [imm.root / file for file in imm.files[:: len(imm) // TIMED][:limit]]
        sides = {name: partial(_detect, worker) for name, worker in workers.items()}
        answers = interleave(sides, tqdm(files + timed, desc="detecting", unit=" pictures", disable=None))
    table, curves = {}, {}
    for name, found in answers.items():
        settings = workers[name].ask("describe")
        workers[name].close()
        by_file = dict(zip(files, found, strict=False))
        row, curves[name] = _row(groups, by_file, settings["threshold"])
        seconds = np.array([answer["seconds"] for answer in found[len(files) :]])
        table[name] = (
            settings
            | row
            | {
                "measured_correction": _correction(training, by_file, settings["correction"]),
                "ms": quartiles(1000 * seconds, 1),
            }
        )
    result = {"data": str(data), "device": processor(), "detectors": table}
    _plot(out.with_suffix(".png"), curves)
    save_table(out, result, _table(result))


def _start(name: str, check: str | None = None) -> Worker:
    lowest = None if check else LOWEST.get(name, USUAL_LOWEST)  # the network takes its time for all that is let in
    return start_worker("detector", environment="detectors", detector=name, threshold=lowest, check=check)


def _detect(worker: Worker, file: Path) -> dict:
    return worker.ask("detect", file=str(file))


def _scenes(data: Path, agreement: Path, folder: Path) -> dict[str, list[Scene]]:
    """All pictures by set."""
    library = next(CACHE.glob("detectors/lib/python*/site-packages/skimage/data"), None)
    if library is None:
        raise KpError(f"there is no scikit-image in {CACHE / 'detectors'}")
    groups = {name: detection_sets.labelled(data, name) for name in ("300-W", "infanface", "wflw")}
    groups["photographs"] = detection_sets.photographs(data, agreement)
    groups["sheets"] = detection_sets.sheets(data, folder)
    return groups | detection_sets.without_faces(data, agreement, library, folder)


def _row(groups: dict[str, list[Scene]], answers: dict[Path, dict], threshold: float) -> tuple[dict, dict]:
    """A detector's counts at its threshold and at those with as many false finds as allowed; and its curve."""
    judged = {name: [judge(scene, _result(answers[scene.file])) for scene in scenes] for name, scenes in groups.items()}
    sets = {name: together(each) for name, each in judged.items()}
    for name in ("infanface", "wflw"):
        held_out = [one for one, scene in zip(judged[name], groups[name], strict=True) if scene.held_out]
        sets[f"{name}, validation"] = together(held_out)
    angles = np.abs(np.concatenate([scene.angles for scene in groups["sheets"]]))
    for low, high in pairwise(ANGLES):
        chosen = (angles >= low) & (angles < high + (high == ANGLES[-1]))
        sets[f"sheets, {low}–{high}°"] = Judged(sets["sheets"].faces[chosen], np.zeros(0))
    false = np.concatenate([one.false for one in sets.values()])
    row: dict = {"sets": {name: counts(one, threshold) for name, one in sets.items()}}
    row["by_false_finds"] = {
        str(allowed): {name: counts(one, at)["found"] for name, one in sets.items()} | {"threshold": at}
        for allowed, at in thresholds_by_false_finds(false).items()
    }
    return row, {name: (sets[name].faces, false) for name in ("infanface", "wflw", "photographs")}


def _result(answer: dict) -> Result:
    return Result(np.array(answer["boxes"], float).reshape(-1, 4), np.array(answer["scores"], float))


def _correction(samples: Samples, answers: dict[Path, dict], present: list[float]) -> list[float]:
    """What the correction of a detector's boxes (`boxes.like_dlib`) would be by these faces.

    Args:
        samples: labelled faces.
        answers: the detector's, with its present correction.
        present: that correction.
    """
    shifts, scales = [], []
    for file, truth in zip(samples.files, samples.boxes, strict=True):
        answer = answers[samples.root / file]
        boxes, angles = _result(answer).boxes, np.nan_to_num(np.array(answer["angles"], float))
        shared = overlaps(boxes, truth)
        if len(boxes) and shared.max() > MIN_RAW_OVERLAP:
            box, angle = boxes[shared.argmax()], angles[shared.argmax()]
            offset = truth[:2] + truth[2:] / 2 - box[:2] - box[2:] / 2
            shifts.append(rotated(offset, -angle)[1] / box[2])
            scales.append(max(truth[2:]) / box[2])
    shift, scale = present
    return [round(float(shift + scale * np.median(shifts)), 4), round(float(scale * np.median(scales)), 4)]


def _plot(path: Path, curves: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]) -> None:
    """Draw the share of faces found by the number of false finds in all pictures, a panel for each set."""
    figure = Figure(figsize=(11, 3.8), dpi=150, layout="constrained")
    for axes, name in zip(figure.subplots(1, 3, sharey=True), next(iter(curves.values())), strict=True):
        for detector, sets in curves.items():
            faces, false = sets[name]
            thresholds = np.sort(np.concatenate([faces[np.isfinite(faces)], false]))
            found = (faces[None] >= thresholds[:, None]).mean(axis=1)
            axes.plot((false[None] >= thresholds[:, None]).sum(axis=1), found, label=detector)
        axes.set(title=name, xlabel="false finds", xlim=(0, 100), ylim=(0.3, 1))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("share of the faces found")
    figure.axes[-1].legend(loc="lower right")
    save_figure(figure, path)


def _table(result: dict) -> list[str]:
    rows = result["detectors"]
    sheets = [f"sheets, {low}–{high}°" for low, high in pairwise(ANGLES)]
    false = ("photographs", "sheets", "backgrounds", "scikit-image", "textures")
    lines = ["| | " + " | ".join([*COLUMNS, *sheets, "false: " + ", ".join(false), "640 × 480, ms"]) + " |"]
    lines.append("|---" * (len(COLUMNS) + len(sheets) + 3) + "|")
    for name, row in rows.items():
        sets = row["sets"]
        cells = [f"{sets[column]['found']} of {sets[column]['faces']}" for column in (*COLUMNS, *sheets)]
        cells.append(", ".join(str(sets[column]["false"]) for column in false))
        time = "–" if " + " in name else "{} ({}–{})".format(*row["ms"])  # the network judges what no threshold lets in
        lines.append(f"| {name} | {' | '.join(cells)} | {time} |")
    lines += ["", "Found when so many false finds in all pictures together are allowed:", ""]
    lines += ["| | set | " + " | ".join(map(str, FALSE_FINDS)) + " |", "|---" * (len(FALSE_FINDS) + 2) + "|"]
    for name, row in rows.items():
        for column in ("300-W", "infanface", "wflw", "photographs", "sheets"):
            cells = [str(row["by_false_finds"].get(str(allowed), {}).get(column, "–")) for allowed in FALSE_FINDS]
            lines.append(f"| {name} | {column}, {row['sets'][column]['faces']} | {' | '.join(cells)} |")
    note = "Times: median and quartiles, in turns, {}. –: fewer false finds at the lowest score that was tried."
    return [*lines, "", note.format(result["device"])]


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare face detectors.")
    add = parser.add_argument
    add("--data", metavar="DIR", type=Path, required=True, help="folder of the data sets")
    add("--agreement", metavar="FILE", type=Path, required=True, help="what benchmarks.agreement wrote")
    add("--out", metavar="NAME", type=Path, default=Path("detectors"), help="without a suffix")
    add("--detectors", nargs="+", choices=MODULES, default=list(MODULES), metavar="NAME", help="default: all")
    add(
        "--check",
        metavar="RUN",
        help="also the default one after this network has discarded what is no face",
    )
    add("--limit", metavar="N", type=int, help="pictures of each set, to try the program (default: all)")
    return exit_status("benchmarks.detectors:compare", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
