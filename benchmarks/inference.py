"""Prediction with ResNet18 beside PyTorch, in batches and one face at a time; and predict_kaggle.py, part by part.

    python -m benchmarks.inference --data DIR --out inference.json

predict_kaggle.py gets as many entries as the published test XML: the 80 at hand, over and over.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.sax.saxutils import quoteattr

from benchmarks.turns import HERE, Side, best, conditions, in_turns, ratio, report, summary
from kp_tf.data.datasets import find_data, read_test
from kp_tf.data.samples import Records

ENTRIES = 1008  # in the competition's test XML
BATCH = 64
OURS = {"kp_tf float32": "float32", "kp_tf auto": "auto"}


def networks(size: int, steps: int, rounds: int, compiled: bool) -> tuple[dict, dict, dict]:
    """The machine, images per second in batches, and milliseconds of one face, by side and round."""
    sides = {label: Side("ours", precision=precision) for label, precision in OURS.items()}
    for dtype in ("float32", "bfloat16"):
        for compiling in (False, True)[: 1 + compiled]:
            label = f"PyTorch {dtype}" + ", compiled" * compiling
            sides[label] = Side("pytorch", dtype=dtype, compiled=compiling)
    machine = conditions(*sides.values())

    def turns(size: int, steps: int) -> dict[str, list[float]]:
        return in_turns(
            {
                label: lambda side=side: side.ask("predict", size=size, steps=steps)["value"]
                for label, side in sides.items()
            },
            rounds,
        )

    batches, single = turns(size, steps), turns(1, 10 * steps)
    for side in sides.values():
        side.close()
    return machine, batches, {label: [1000 / value for value in values] for label, values in single.items()}


def competition(records: Records, entries: int, rounds: int, precision: str) -> dict:
    """Seconds of predict_kaggle.py with `large`, and of its parts, each alone; the parts overlap in the whole."""
    with tempfile.TemporaryDirectory() as folder:
        for file in records.files:
            (Path(folder) / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(records.root / file, Path(folder) / file)
        many = _write_xml(Path(folder) / "many.xml", records, entries)
        one = _write_xml(Path(folder) / "one.xml", records, 1)
        ours = Side("ours", precision=precision, network="large")
        files = [str(Path(folder) / file) for file in records.files]
        faces = [[file, box.tolist()] for file, box in zip(files, records.boxes, strict=True)]
        faces = (faces * (entries // len(faces) + 1))[:entries]
        taken = in_turns(
            {
                "whole": lambda: _predict_kaggle(many, precision),
                "start, with one entry": lambda: _predict_kaggle(one, precision),
                "decoding": lambda: len(faces) / ours.ask("decode_faces", faces=faces, times=1)["value"],
                "network": lambda: entries / ours.ask("predict", size=BATCH, steps=-(-entries // BATCH))["value"],
                "writing": lambda: ours.ask("write", faces=entries)["value"],
            },
            rounds,
        )
        ours.close()
    return summary(taken)


def _predict_kaggle(labels: Path, precision: str) -> float:
    command = [sys.executable, HERE.parent / "predict_kaggle.py", "--run", "large", "--labels", labels]
    command += ["--out", labels.with_suffix(".csv"), "--precision", precision]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _write_xml(path: Path, records: Records, entries: int) -> Path:
    """The records over and over, in dlib's layout."""
    images = []
    for face in range(entries):
        left, top, width, height = records.boxes[face % len(records)]
        box = f"<box left='{left}' top='{top}' width='{width}' height='{height}'/>"
        images.append(f"<image file={quoteattr(records.files[face % len(records)])}>{box}</image>")
    path.write_text(f"<dataset><images>{''.join(images)}</images></dataset>")
    return path


def measure(data: str | None, size: int, steps: int, rounds: int, entries: int, compiled: bool) -> dict:
    """All of it."""
    records = read_test(find_data(data, "ibug"))
    machine, batches, single = networks(size, steps, rounds, compiled)
    ours, torch, quick = best(batches, "kp_tf"), best(batches, "PyTorch"), best(single, "kp_tf", largest=False)
    quick_torch = best(single, "PyTorch", largest=False)
    plain = best(batches, "PyTorch float32")
    return {
        **machine,
        "network": "ResNet18, grey, 224×224",
        "batch_size": size,
        "images_per_second": summary(batches),
        "milliseconds_of_one_face": summary(single),
        "ratios": {
            f"rate in batches, {ours} / {torch}": ratio(batches, ours, torch),
            f"rate in batches, kp_tf float32 / {plain}": ratio(batches, "kp_tf float32", plain),
            f"time of one face, {quick} / {quick_torch}": ratio(single, quick, quick_torch),
        },
        f"seconds_of_predict_kaggle_{entries}_entries": {
            precision: competition(records, entries, max(1, rounds // 3), precision) for precision in OURS.values()
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Prediction in batches, one face, and predict_kaggle.py.")
    parser.add_argument("--data", metavar="DIR", help="folder of the data sets")
    parser.add_argument("--out", metavar="JSON", type=Path, default=Path("inference.json"))
    parser.add_argument("--steps", metavar="N", type=int, default=4, help="batches in a turn")
    parser.add_argument("--rounds", metavar="N", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="one round of a small batch, nothing compiled")
    given = parser.parse_args()
    amount = (4, 1, 1, 8, False) if given.quick else (BATCH, given.steps, given.rounds, ENTRIES, True)
    return report(given.out, measure, given.data, *amount)


if __name__ == "__main__":
    sys.exit(main())
