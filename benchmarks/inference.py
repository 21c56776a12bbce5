"""Prediction with ResNet18 in batches and of one face, beside PyTorch; and predict_kaggle.py with its parts.

    python -m benchmarks.inference --data DIR --out inference.json

predict_kaggle.py gets as many entries as the published test XML has, made by repeating those in DIR.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from xml.sax.saxutils import quoteattr

from benchmarks.interleave import best, measure_rounds, ratio, summarize_all
from benchmarks.launch import ROOT, face_list, read_test, start_keras, start_pytorch
from benchmarks.report import machine, parse_arguments, save
from benchmarks.workers.protocol import timed
from kp_tf.cli import exit_status
from kp_tf.data.samples import Samples

BATCH = 64
PRECISIONS = ("float32", "auto")
QUICK = {"steps": 1, "rounds": 1, "entries": 8, "size": 4, "compiled": False}


def measure(
    data: str | None, out: Path, steps: int, rounds: int, entries: int = 1008, size: int = BATCH, compiled: bool = True
) -> None:
    """Measure the networks in `rounds` rounds, and predict_kaggle.py in a third of them.

    The competition's test XML has 1,008 entries; `size` is that of the batches.
    """
    samples = read_test(data)
    conditions, batches, single = _networks(steps, rounds, size, compiled)
    ours, torch, torch_float32 = best(batches, "kp_tf"), best(batches, "PyTorch"), best(batches, "PyTorch float32")
    ours_single, torch_single = (best(single, prefix, largest=False) for prefix in ("kp_tf", "PyTorch"))
    result = {
        **conditions,
        "network": "ResNet18, grey, 224×224",
        "batch_size": size,
        "images_per_second": summarize_all(batches),
        "milliseconds_of_one_face": summarize_all(single),
        "ratios": {
            f"rate in batches, {ours} / {torch}": ratio(batches, ours, torch),
            f"rate in batches, kp_tf float32 / {torch_float32}": ratio(batches, "kp_tf float32", torch_float32),
            f"time of one face, {ours_single} / {torch_single}": ratio(single, ours_single, torch_single),
        },
        f"seconds_of_predict_kaggle_{entries}_entries": {
            precision: _competition(samples, entries, max(1, rounds // 3), precision) for precision in PRECISIONS
        },
    }
    save(out, result)


def _networks(steps: int, rounds: int, batch_size: int, compiled: bool) -> tuple[dict, dict, dict]:
    """The machine, and of each side the images per second in batches and the milliseconds of one face, by round."""
    pytorch = start_pytorch(compiled)
    workers = {f"kp_tf {precision}": start_keras(precision) for precision in PRECISIONS} | pytorch
    conditions = machine(*pytorch.values())

    def rates(size: int, steps: int) -> dict[str, list[float]]:
        sides = {label: partial(worker.ask, "predict", size=size, steps=steps) for label, worker in workers.items()}
        return measure_rounds(sides, rounds)

    batches, single = rates(batch_size, steps), rates(1, 10 * steps)
    for worker in workers.values():
        worker.close()
    return conditions, batches, {label: [1000 / rate for rate in values] for label, values in single.items()}


def _competition(samples: Samples, entries: int, rounds: int, precision: str) -> dict:
    """Seconds of predict_kaggle.py with `large`, and of each of its parts alone; in the whole they overlap."""
    with tempfile.TemporaryDirectory() as name, start_keras(precision, network="large") as worker:
        folder = Path(name)
        for file in samples.files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(samples.root / file, folder / file)
        faces = list(islice(cycle(face_list(samples)), entries))
        steps = -(-entries // BATCH)
        many, one = _write_xml(folder / "many.xml", samples, entries), _write_xml(folder / "one.xml", samples, 1)
        sides = {
            "whole": partial(_predict_kaggle, many, precision),
            "start, with one entry": partial(_predict_kaggle, one, precision),
            "decoding": lambda: entries / worker.ask("decode_faces", faces=faces, times=1),
            "network": lambda: entries / worker.ask("predict", size=BATCH, steps=steps),
            "writing": lambda: worker.ask("write", faces=entries),
        }
        return summarize_all(measure_rounds(sides, rounds))


def _predict_kaggle(labels: Path, precision: str) -> float:
    command = [sys.executable, ROOT / "predict_kaggle.py", "--run", "large", "--labels", labels]
    command += ["--out", labels.with_suffix(".csv"), "--precision", precision]
    return timed(partial(subprocess.run, command, check=True, stdout=subprocess.DEVNULL))[1]


def _write_xml(path: Path, samples: Samples, entries: int) -> Path:
    """Write so many entries in dlib's layout: the samples, over and over."""
    images = []
    for k in range(entries):
        left, top, width, height = samples.boxes[k % len(samples)]
        box = f"<box left='{left}' top='{top}' width='{width}' height='{height}'/>"
        images.append(f"<image file={quoteattr(samples.files[k % len(samples)])}>{box}</image>")
    path.write_text(f"<dataset><images>{''.join(images)}</images></dataset>")
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description="Prediction in batches, one face, and predict_kaggle.py.")
    parser.add_argument("--data", metavar="DIR", help="folder of the data sets")
    parser.add_argument("--out", metavar="JSON", type=Path, default=Path("inference.json"))
    parser.add_argument("--steps", metavar="N", type=int, default=4, help="batches of each measurement")
    parser.add_argument("--rounds", metavar="N", type=int, default=9)
    return exit_status("benchmarks.inference:measure", **parse_arguments(parser, QUICK))


if __name__ == "__main__":
    sys.exit(main())
