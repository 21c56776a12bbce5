"""Time and memory of training with many times the data: iBUG's labelled photographs several times over.

    python -m benchmarks.scale --data DIR --times 100

The stages are those of `train.py --part 3 --recipe strong`, without its teacher. The JSON has each stage's seconds, the
memory of the process after it and the most until then, and the share of the steps' time that is spent waiting for their
input. Every entry is read from its file, though the system caches the files after the first time.
"""

import argparse
import math
import resource
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psutil
import tensorflow as tf

from benchmarks.report import machine, save
from kp_tf.cli import exit_status
from kp_tf.data.datasets import find_data
from kp_tf.data.layout import FOLDERS, TRAIN_XML
from kp_tf.models.build import build_network
from kp_tf.training.config import new_config
from kp_tf.training.faces import load
from kp_tf.training.fitting import make_batches
from kp_tf.training.model import compiled
from kp_tf.training.options import Options
from kp_tf.training.report import device_name


def measure(data: str | None, out: Path, times: int, steps: int) -> None:
    """Measure every stage, and the sizes of what the stages make."""
    stages, start = {}, time.perf_counter()

    def finish(stage: str) -> None:
        nonlocal start
        seconds, memory = time.perf_counter() - start, psutil.Process().memory_info().rss
        stages[stage] = {"seconds": round(seconds, 2), "gigabytes": round(memory / 1e9, 2), "peak": _peak()}
        print(f"{stage}: {seconds:.1f} s, {memory / 1e9:.2f} GB", file=sys.stderr, flush=True)
        start = time.perf_counter()

    with tempfile.TemporaryDirectory() as folder:
        labels = _repeat(find_data(data, "ibug").folder("ibug"), Path(folder) / FOLDERS["ibug"], times)
        xml_bytes = labels.stat().st_size
        finish("start")
        config = new_config(Options(part=3, recipe="strong", data=folder))
        config = replace(config, recipe=replace(config.recipe, teacher=None))
        faces = load(config, device_name())
        finish("reading and decoding")
    len(faces.split)
    finish("digest")
    recipe, strategy = faces.info.recipe, tf.distribute.get_strategy()
    network = build_network(recipe, len(faces.info.scheme), 0, recipe.precision)
    model = compiled(network, recipe, faces.info.scheme.eyes, steps)
    batches = iter(make_batches(config, faces, strategy)(0))
    model.train_on_batch(*next(batches))
    finish("first step")
    waiting = 0.0
    for _ in range(steps):
        before = time.perf_counter()
        batch = next(batches)
        waiting += time.perf_counter() - before
        model.train_on_batch(*batch)
    finish(f"{steps} steps")
    result = {
        **machine(),
        "faces": len(faces.training) + len(faces.validation),
        "xml_megabytes": round(xml_bytes / 1e6, 1),
        "crops_gigabytes": round(math.prod(faces.training.crops.shape) / 1e9, 2),
        "stages": stages,
        "waiting_for_input": round(waiting / stages[f"{steps} steps"]["seconds"], 4),
        "peak_gigabytes": _peak(),
    }
    save(out, result)


def _peak() -> float:
    """The most memory that the process has had, in GB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)


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
    parser.add_argument("--times", metavar="N", type=int, default=100, help="each photograph")
    parser.add_argument("--steps", metavar="N", type=int, default=300, help="of batch 32")
    return exit_status("benchmarks.scale:measure", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
