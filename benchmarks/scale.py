"""What more data cost: iBUG's labelled photographs several times over, through what `train.py` calls.

    python -m benchmarks.scale --data DIR --times 30

Seconds of each stage and the memory of the process after it, as JSON; the steps are of the recipe `strong`. Every
entry is read from its file, though the system keeps the files in memory after the first time.
"""

import argparse
import re
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import psutil

from benchmarks.turns import conditions, report
from kp_tf.backends.precision import resolve
from kp_tf.core.geometry import crop_windows, to_unit
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.datasets import TRAIN_XML, find_data, split
from kp_tf.data.dlib_xml import read_dlib_xml
from kp_tf.input import pipeline
from kp_tf.input.augment import DRAWS
from kp_tf.recipes import RECIPES
from kp_tf.training.networks import build, compiled, transform

SEED = 0


def measure(data: str | None, times: int, on_disk: bool, steps: int) -> dict:
    """Seconds of each stage, memory after it, and the sizes of what it made."""
    stages, recipe = {}, RECIPES["strong", 3]
    begun = time.perf_counter()

    def done(stage: str) -> None:
        nonlocal begun
        seconds, memory = time.perf_counter() - begun, psutil.Process().memory_info().rss
        stages[stage] = {"seconds": round(seconds, 2), "gigabytes": round(memory / 1e9, 2)}
        print(f"{stage}: {seconds:.1f} s, {memory / 1e9:.2f} GB", file=sys.stderr, flush=True)
        begun = time.perf_counter()

    with tempfile.TemporaryDirectory() as folder:
        path = _repeated(find_data(data, "ibug").folder("ibug"), Path(folder) / "ibug", times)
        size = path.stat().st_size
        done("start")
        records = read_dlib_xml(path, IBUG68)
        done("reading")
        training = records.take(split(records, "ibug")[0])
        windows = crop_windows(training.boxes, recipe.stored_scale)
        free = 0 if on_disk else psutil.virtual_memory().available
        with mock.patch("psutil.virtual_memory", return_value=mock.Mock(available=free)):
            crops = pipeline.decode(training, windows, recipe.stored_shape)
        done("decoding")
    units, moved = to_unit(training.points, windows), transform(recipe, IBUG68.mirror)
    model = compiled(build(recipe, len(IBUG68), SEED, resolve(recipe.precision)), recipe, IBUG68, steps)
    batches = pipeline.training_batches(crops, units, recipe.batch_size, SEED, moved, DRAWS)
    model.fit(batches, steps_per_epoch=5, shuffle=False, verbose=0)
    done("first five steps")
    model.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0)
    done(f"{steps} steps")
    return {
        **conditions(),
        "faces": len(records),
        "xml_megabytes": round(size / 1e6, 1),
        "crops_gigabytes": round(crops.nbytes / 1e9, 2),
        "stages": stages,
        "peak_gigabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }


def _repeated(source: Path, folder: Path, times: int) -> Path:
    """A copy of the data set whose XML has every entry so many times."""
    shutil.copytree(source, folder)
    path = folder / TRAIN_XML
    head, images, tail = re.match(r"(.*<images>)(.*)(</images>.*)", path.read_text(), re.DOTALL).groups()
    path.write_text(head + images * times + tail)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description="Time and memory of training with many times the data.")
    parser.add_argument("--data", metavar="DIR", help="folder of the data sets")
    parser.add_argument("--out", metavar="JSON", type=Path, default=Path("scale.json"))
    parser.add_argument("--times", metavar="N", type=int, default=30, help="each photograph")
    parser.add_argument("--disk", action="store_true", help="keep the crops on disk")
    parser.add_argument("--steps", metavar="N", type=int, default=60, help="of batch 32")
    given = parser.parse_args()
    return report(given.out, measure, given.data, given.times, given.disk, given.steps)


if __name__ == "__main__":
    sys.exit(main())
