"""Time and memory of training with many times the data: iBUG's labelled photographs several times over.

    python -m benchmarks.scale --data DIR --times 30

The stages are those of `train.py` with the recipe `strong`. The JSON has each stage's seconds and the memory of the
process after it. Every entry is read from its file, though the system caches the files after the first time.
"""

import argparse
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import psutil

from benchmarks.report import machine, save
from kp_tf.backends.precision import resolve_precision
from kp_tf.cli import exit_status
from kp_tf.core.geometry import crop_windows, to_unit
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.datasets import IbugDataset, find_data
from kp_tf.data.layout import TRAIN_XML
from kp_tf.input.augment import training_transform
from kp_tf.input.batches import training_batches
from kp_tf.input.decode import decode_crops
from kp_tf.models.build import build_network
from kp_tf.recipes import COMPACT
from kp_tf.training.model import compiled


def measure(data: str | None, out: Path, times: int, disk: bool, steps: int) -> None:
    """Measure every stage, and the sizes of what the stages make."""
    stages, recipe, start = {}, COMPACT, time.perf_counter()

    def finish(stage: str) -> None:
        nonlocal start
        seconds, memory = time.perf_counter() - start, psutil.Process().memory_info().rss
        stages[stage] = {"seconds": round(seconds, 2), "gigabytes": round(memory / 1e9, 2)}
        print(f"{stage}: {seconds:.1f} s, {memory / 1e9:.2f} GB", file=sys.stderr, flush=True)
        start = time.perf_counter()

    with tempfile.TemporaryDirectory() as folder:
        labels = _repeat(find_data(data, "ibug").folder("ibug"), Path(folder) / "ibug", times)
        xml_bytes = labels.stat().st_size
        finish("start")
        training, validation = IbugDataset(labels.parent).read_split()
        finish("reading")
        windows = crop_windows(training.boxes, recipe.stored_scale)
        available = 0 if disk else psutil.virtual_memory().available
        with mock.patch("psutil.virtual_memory", return_value=mock.Mock(available=available)):
            crops = decode_crops(training, windows, recipe.stored_shape or recipe.shape)
        finish("decoding")
    model: Any = build_network(recipe, len(IBUG68), 0, resolve_precision(recipe.precision))
    model = compiled(model, recipe, IBUG68.eyes, steps)
    transform, points = training_transform(recipe, IBUG68.flip_indices), to_unit(training.labels, windows)
    batches = training_batches(crops, points, recipe.batch_size, 0, transform)
    for count, name in ((5, "first five steps"), (steps, f"{steps} steps")):
        model.fit(batches, steps_per_epoch=count, shuffle=False, verbose=0)
        finish(name)
    result = {
        **machine(),
        "faces": len(training) + len(validation),
        "xml_megabytes": round(xml_bytes / 1e6, 1),
        "crops_gigabytes": round(crops.nbytes / 1e9, 2),
        "stages": stages,
        "peak_gigabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }
    save(out, result)


def _repeat(source: Path, folder: Path, times: int) -> Path:
    """Copy the data set and repeat every entry of its XML; return the XML."""
    shutil.copytree(source, folder)
    path = folder / TRAIN_XML
    head, images = path.read_text().split("<images>")
    images, tail = images.split("</images>")
    path.write_text(f"{head}<images>{images * times}</images>{tail}")
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description="Time and memory of training with many times the data.")
    parser.add_argument("--data", metavar="DIR", help="folder of the data sets")
    parser.add_argument("--out", metavar="JSON", type=Path, default=Path("scale.json"))
    parser.add_argument("--times", metavar="N", type=int, default=30, help="each photograph")
    parser.add_argument("--disk", action="store_true", help="keep the crops on disk")
    parser.add_argument("--steps", metavar="N", type=int, default=60, help="of batch 32")
    return exit_status("benchmarks.scale:measure", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
