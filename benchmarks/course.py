"""The whole job as a student does it, this project's programs beside PyTorch's, each from start to last file.

    python -m benchmarks.course --data DIR --part 3 --out course3.json
    python -m benchmarks.course --data DIR --part 2 --out course2.json

Part 3: files, two epochs, submission. No labelled photographs of full size are at hand: 500 training photographs
are enlarged to the test photographs' median size and saved as JPEG. Five epochs are extrapolated. Part 2: all 30
epochs on IMM; this project draws its figures, the PyTorch program draws none.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.environments import python_of
from benchmarks.turns import HERE, KEEP_MEMORY, Side, conditions, in_turns, ratio, report, summary
from kp_tf.core.files import read_json, write_json
from kp_tf.core.geometry import crop_windows, to_unit
from kp_tf.core.keypoints import SCHEMES
from kp_tf.data.datasets import FOLDERS, TRAIN_XML, find_data, read_labelled, read_test, split
from kp_tf.data.dlib_xml import write_dlib_xml
from kp_tf.data.samples import Records
from kp_tf.recipes import RECIPES

EPOCHS = 5  # of the course's part 3
SIDES = {  # ours: the precision; PyTorch: whether it has channels last and bfloat16
    "kp_tf float32": "float32",
    "kp_tf auto": "auto",
    "PyTorch float32": False,
    "PyTorch best": True,
}


def enlarge(records: Records, size: tuple[float, float], folder: Path) -> Records:
    """The photographs as JPEGs with as many pixels as `size` has, in the folder; boxes and points go with them."""
    boxes, points, files = records.boxes.astype(float), records.points.copy(), []
    for face, file in enumerate(records.files):
        with Image.open(records.root / file) as photograph:
            factor = (size[0] * size[1] / (photograph.width * photograph.height)) ** 0.5
            larger = [round(side * factor) for side in photograph.size]
            files.append(str(Path(file).with_suffix(".jpg")))
            (folder / files[-1]).parent.mkdir(parents=True, exist_ok=True)
            picture = photograph.convert("RGB").resize(larger, Image.Resampling.BICUBIC)
            picture.save(folder / files[-1], quality=90)
            scale = np.array(larger) / photograph.size
        boxes[face] = np.concatenate([(boxes[face, :2] - 0.5) * scale + 0.5, boxes[face, 2:] * scale])
        points[face] = (points[face] + 0.5) * scale - 0.5
    return replace(records, root=folder, files=tuple(files), boxes=boxes.round().astype(int), points=points)


def write_part3(data: str | None, folder: Path, count: int) -> None:
    """A data folder with `count` enlarged training photographs and the test's as they are."""
    source = find_data(data, "ibug")
    test, labelled = read_test(source), read_labelled(source, "ibug", SCHEMES["ibug68"])
    labelled = labelled.take(np.linspace(0, len(labelled) - 1, count).astype(int))
    sizes = []
    for file in test.files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes((test.root / file).read_bytes())
        with Image.open(folder / file) as photograph:
            sizes.append(photograph.size)
    larger = enlarge(labelled, tuple(np.median(sizes, axis=0)), folder)
    write_dlib_xml(folder / TRAIN_XML, larger)
    nowhere = replace(test, root=folder, points=np.full((len(test), 68, 2), np.nan))
    write_dlib_xml(folder / "labels_ibug_300W_test_parsed.xml", nowhere)


def task_of(data: Path, part: int, epochs: int, best: bool) -> dict:
    """What the PyTorch program is told: the same faces, sides and settings."""
    recipe = RECIPES["course", part]
    source = find_data(str(data), recipe.dataset)
    records = read_labelled(source, recipe.dataset, SCHEMES[recipe.scheme])
    mirror = records.scheme.mirror if recipe.augmentation else None
    sides = [_faces(records.take(side)) for side in split(records, recipe.dataset)]
    test = _faces(read_test(source)) if part == 3 else []
    network = recipe.settings | {"shape": recipe.shape, "loss": recipe.loss, "batch_size": recipe.batch_size}
    rates = {"learning_rate": recipe.learning_rate, "epochs": epochs, "mirror": mirror and list(mirror)}
    return {**network, **rates, "best": best, "training": sides[0], "validation": sides[1], "test": test}


def _faces(records: Records) -> list:
    windows = crop_windows(records.boxes)
    units = [None] * len(records) if records.points is None else to_unit(records.points, windows).tolist()
    files = [str((records.root / file).resolve()) for file in records.files]
    return [list(face) for face in zip(files, windows.tolist(), units, strict=True)]


def run_ours(data: Path, part: int, epochs: int, out: Path, precision: str) -> dict:
    """Seconds of train.py and, for part 3, predict_kaggle.py; and of each epoch."""
    train = [sys.executable, HERE.parent / "train.py", "--part", str(part), "--data", data, "--epochs", str(epochs)]
    train += ["--precision", precision, "--out", out, "--overwrite"]
    predict = [sys.executable, HERE.parent / "predict_kaggle.py", "--run", out, "--data", data]
    predict += ["--precision", precision, "--out", out / "submission.csv"]
    start = time.perf_counter()
    for command in (train, predict)[: 2 if part == 3 else 1]:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "epochs": read_json(out / "metrics.json")["seconds_per_epoch"]}


def run_torch(task: Path, out: Path) -> dict:
    """Seconds of the PyTorch program, and of each epoch."""
    command = [python_of("pytorch"), HERE / "torch_course.py", task, out]
    environment = {"PATH": "/usr/bin:/bin", **KEEP_MEMORY}
    start = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "epochs": json.loads(done.stdout)["seconds_per_epoch"]}


def measure(data: str | None, part: int, count: int, epochs: int, rounds: int) -> dict:
    """Seconds of every side, the sides taking turns."""
    ours, torch = Side("ours", precision="auto"), Side("pytorch")
    machine = conditions(ours, torch)
    ours.close()
    torch.close()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = find_data(data, RECIPES["course", part].dataset).root
        if part == 3:
            source = folder / "data"
            write_part3(data, source / FOLDERS["ibug"], count)
        epoch_seconds, sides = {}, {}

        def once(label: str, run: partial) -> float:
            result = run()
            epoch_seconds.setdefault(label, []).append(float(np.median(result["epochs"])))
            return result["seconds"]

        for label, kind in SIDES.items():
            out = folder / label.replace(" ", "-")
            if label.startswith("kp_tf"):
                run = partial(run_ours, source, part, epochs, out, kind)
            else:
                write_json(out.with_suffix(".json"), task_of(source, part, epochs, kind))
                run = partial(run_torch, out.with_suffix(".json"), out)
            sides[label] = partial(once, label, run)
        taken = in_turns(sides, rounds, warm_up=0)
    ratios = {
        f"{one} / {other}": ratio(taken, one, other)
        for one, other in (
            ("kp_tf float32", "PyTorch float32"),
            ("kp_tf auto", "PyTorch float32"),
            ("kp_tf auto", "PyTorch best"),
        )
    }
    report = {
        **machine,
        "part": part,
        "epochs": epochs,
        "seconds": summary(taken),
        "seconds_of_an_epoch": summary(epoch_seconds),
        "ratios_of_seconds": ratios,
    }
    if part == 3:
        rest = {label: (EPOCHS - epochs) * np.array(seconds) for label, seconds in epoch_seconds.items()}
        all_epochs = {label: np.array(taken[label]) + rest[label] for label in taken}
        report |= {"photographs": count, f"seconds_extrapolated_to_{EPOCHS}_epochs": summary(all_epochs)}
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description="The course's part 2 or 3 from files to results, beside PyTorch.")
    parser.add_argument("--data", metavar="DIR", help="folder of the data sets")
    parser.add_argument("--part", type=int, choices=(2, 3), default=3)
    parser.add_argument("--out", metavar="JSON", type=Path, default=Path("course.json"))
    parser.add_argument("--photographs", metavar="N", type=int, default=500, help="of part 3")
    parser.add_argument("--epochs", metavar="N", type=int, help="default: 2 of part 3, 30 of part 2")
    parser.add_argument("--rounds", metavar="N", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of one epoch, 24 photographs")
    given = parser.parse_args()
    epochs = given.epochs or {2: 30, 3: 2}[given.part]
    amount = (24, 1, 1) if given.quick else (given.photographs, epochs, given.rounds)
    return report(given.out, measure, given.data, given.part, *amount)


if __name__ == "__main__":
    sys.exit(main())
