"""Part 2 or 3 of the course, from the start of the programs to their last file, beside PyTorch.

    python -m benchmarks.course --data DIR --part 3 --out course3.json
    python -m benchmarks.course --data DIR --part 2 --out course2.json

Part 3 trains two epochs and writes the submission; five epochs are extrapolated. In place of labelled photographs
of full size, 500 training photographs are enlarged to the test photographs' median size and saved as JPEG. Part 2
trains all 30 epochs on IMM; this project draws its figures, the PyTorch program draws none.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.interleave import measure_rounds, ratio, summarize_all
from benchmarks.launch import KEEP_MEMORY, ROOT, WORKERS, read_test, start_worker
from benchmarks.report import machine, parse_arguments, save
from benchmarks.virtualenvs import interpreter
from benchmarks.workers.protocol import timed
from kp_tf.cli import exit_status
from kp_tf.core.files import read_json, write_json
from kp_tf.core.geometry import crop_windows, to_unit
from kp_tf.core.keypoints import IBUG68, IMM58
from kp_tf.data.datasets import IbugDataset, ImmDataset, find_data
from kp_tf.data.dlib_xml import read_dlib_xml, write_dlib_xml
from kp_tf.data.layout import FOLDERS, TEST_XMLS, TRAIN_XML
from kp_tf.data.samples import Samples
from kp_tf.recipes import PART2, PART3

EPOCHS = 5  # of the course's part 3
DEFAULT_EPOCHS = {2: 30, 3: 2}
RECIPES = {2: PART2, 3: PART3}
QUICK = {"photographs": 24, "epochs": 1, "rounds": 1}


def measure(data: str | None, out: Path, part: int, photographs: int, epochs: int | None, rounds: int) -> None:
    """Measure the seconds of every side, the sides taking turns."""
    epochs = epochs or DEFAULT_EPOCHS[part]
    with start_worker("pytorch") as torch:
        conditions = machine(torch)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, _ = find_data(data, RECIPES[part].dataset)
        if part == 3:
            _write_enlarged(read_test(data), source / FOLDERS["ibug"], folder / "data" / FOLDERS["ibug"], photographs)
            source = folder / "data"
        seconds_of_an_epoch = {}

        def once(label: str, run: Callable[[], list[float]]) -> float:
            seconds_by_epoch, seconds = timed(run)
            seconds_of_an_epoch.setdefault(label, []).append(float(np.median(seconds_by_epoch)))
            return seconds

        runs = {
            f"kp_tf {precision}": partial(_run_ours, source, part, epochs, folder / precision, precision)
            for precision in ("float32", "auto")
        }
        for label, best in (("PyTorch float32", False), ("PyTorch best", True)):
            write_json(task := folder / f"{label}.json", _pytorch_task(source, part, epochs, best))
            runs[label] = partial(_run_pytorch, task)
        sides = {label: partial(once, label, run) for label, run in runs.items()}
        seconds = measure_rounds(sides, rounds, warm_up=0)
    pairs = ("kp_tf float32", "PyTorch float32"), ("kp_tf auto", "PyTorch float32"), ("kp_tf auto", "PyTorch best")
    result = {
        **conditions,
        "part": part,
        "epochs": epochs,
        "seconds": summarize_all(seconds),
        "seconds_of_an_epoch": summarize_all(seconds_of_an_epoch),
        "ratios_of_seconds": {f"{one} / {other}": ratio(seconds, one, other) for one, other in pairs},
    }
    if part == 3:
        extrapolated = {
            label: np.array(seconds[label]) + (EPOCHS - epochs) * np.array(seconds_of_an_epoch[label])
            for label in seconds
        }
        result["photographs"] = photographs
        result[f"seconds_extrapolated_to_{EPOCHS}_epochs"] = summarize_all(extrapolated)
    save(out, result)


def _run_ours(data: Path, part: int, epochs: int, out: Path, precision: str) -> list[float]:
    """Run train.py, for part 3 with its submission; return the seconds of each epoch."""
    train = [sys.executable, ROOT / "train.py", "--part", str(part), "--data", data, "--epochs", str(epochs)]
    train += ["--precision", precision, "--out", out, "--overwrite"]
    train += ["--submit", out.with_suffix(".csv")] if part == 3 else []
    subprocess.run(train, check=True, stdout=subprocess.DEVNULL)
    return read_json(out / "metrics.json")["seconds_per_epoch"]


def _run_pytorch(task: Path) -> list[float]:
    """Run the PyTorch program; return the seconds of each epoch."""
    command = [interpreter("pytorch"), WORKERS / "pytorch_course.py", task, task.with_suffix("")]
    environment = {"PATH": "/usr/bin:/bin", **KEEP_MEMORY}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    return json.loads(done.stdout)["seconds_per_epoch"]


def _pytorch_task(data: Path, part: int, epochs: int, best: bool) -> dict:
    """What pytorch_course.py reads: the same faces, split and settings."""
    recipe = RECIPES[part]
    folder = data / FOLDERS[recipe.dataset]
    dataset = ImmDataset(folder, IMM58) if part == 2 else IbugDataset(folder)
    split, test = dataset.read_split(), dataset.read_test()
    return {
        **recipe.settings,
        "shape": recipe.shape,
        "loss": recipe.loss,
        "batch_size": recipe.batch_size,
        "learning_rate": recipe.learning_rate,
        "epochs": epochs,
        "mirror": split.training.scheme.flip_indices if recipe.augmentation.flip else None,
        "best": best,
        "training": _faces(split.training),
        "validation": _faces(split.validation),
        "test": _faces(test) if test else [],
    }


def _faces(samples: Samples) -> list[tuple]:
    """Faces as `pytorch_course.Faces` takes them."""
    windows = crop_windows(samples.boxes, None)
    points = [None] * len(samples) if samples.points is None else to_unit(samples.points, windows).tolist()
    files = [str((samples.root / file).resolve()) for file in samples.files]
    return list(zip(files, windows.tolist(), points, strict=True))


def _write_enlarged(test: Samples, source: Path, folder: Path, count: int) -> None:
    """Write a data set of `count` enlarged training photographs and the test photographs as they are."""
    labelled = read_dlib_xml(source / TRAIN_XML, IBUG68)
    labelled = labelled.take(np.linspace(0, len(labelled) - 1, count).astype(int))
    sizes = []
    for file in test.files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(test.root / file, folder / file)
        with Image.open(folder / file) as photograph:
            sizes.append(photograph.size)
    write_dlib_xml(folder / TRAIN_XML, _enlarge(labelled, np.median(sizes, axis=0), folder))
    unlabelled = np.full((len(test), len(IBUG68), 2), np.nan)
    write_dlib_xml(folder / TEST_XMLS[0], replace(test, root=folder, points=unlabelled))


def _enlarge(samples: Samples, size: np.ndarray, folder: Path) -> Samples:
    """Save the photographs as JPEG with as many pixels as `size` (2,) has; scale boxes and points with them."""
    boxes, points, files = samples.boxes.astype(float), samples.labels.copy(), []
    for k, file in enumerate(samples.files):
        files.append(str(Path(file).with_suffix(".jpg")))
        (folder / files[k]).parent.mkdir(parents=True, exist_ok=True)
        with Image.open(samples.root / file) as photograph:
            factor = (size.prod() / (photograph.width * photograph.height)) ** 0.5
            width, height = (round(side * factor) for side in photograph.size)
            enlarged = photograph.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
        enlarged.save(folder / files[k], quality=90)
        scale = np.array(enlarged.size) / photograph.size
        boxes[k] = np.concatenate([(boxes[k, :2] - 0.5) * scale + 0.5, boxes[k, 2:] * scale])
        points[k] = (points[k] + 0.5) * scale - 0.5
    return replace(samples, root=folder, files=tuple(files), boxes=boxes.round(), points=points)


def main() -> int:
    parser = argparse.ArgumentParser(description="The course's part 2 or 3 from files to results, beside PyTorch.")
    parser.add_argument("--data", metavar="DIR", help="folder of the data sets")
    parser.add_argument("--part", type=int, choices=(2, 3), default=3)
    parser.add_argument("--out", metavar="JSON", type=Path, default=Path("course.json"))
    parser.add_argument("--photographs", metavar="N", type=int, default=500, help="of part 3")
    parser.add_argument("--epochs", metavar="N", type=int, help="default: 2 of part 3, 30 of part 2")
    parser.add_argument("--rounds", metavar="N", type=int, default=3)
    return exit_status("benchmarks.course:measure", **parse_arguments(parser, QUICK))


if __name__ == "__main__":
    sys.exit(main())
