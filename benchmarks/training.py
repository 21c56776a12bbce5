"""Training ResNet18 or the network of `strong` on one batch, in images per second, beside stock Keras and PyTorch.

    python -m benchmarks.training --out training.json
    python -m benchmarks.training --recipe strong --out strong.json

PyTorch runs channels last, in float32 and with bfloat16 autocast, each with and without torch.compile. The rate of
the machine itself is that of the fastest product of bfloat16 matrices on either side.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.interleave import best, measure_rounds, ratio, summarize_all
from benchmarks.launch import start_keras, start_pytorch, start_worker
from benchmarks.report import machine, parse_arguments, save
from benchmarks.workers.protocol import Worker
from kp_tf.cli import exit_status
from kp_tf.recipes import PART3, RECIPES

SIZES = (1024, 2048, 3072, 4096)  # of the square matrices
PRODUCTS_PER_CONVOLUTION = 3  # the output, and the gradients of the input and of the kernel
QUICK = {"batch_size": 4, "steps": 1, "rounds": 1, "compiled": False}


def measure(out: Path, recipe: str, batch_size: int, steps: int, rounds: int, compiled: bool = True) -> None:
    """Measure every side's rate, their ratios, and the share of the machine's matrix rate that ours reaches."""
    settings = RECIPES[recipe, 3]
    network = {"heatmap": {"shape": settings.shape, **settings.settings}} if settings.has_heatmaps else {}
    pytorch = start_pytorch(compiled, **network)
    workers = {
        "kp_tf auto": start_keras("auto", recipe=recipe),
        "kp_tf float32": start_keras("float32", recipe=recipe),
        "stock Keras float32": start_worker("keras", precision="float32", stock=True, recipe=recipe),
        **pytorch,
    }
    conditions = machine(*pytorch.values())
    sides = {label: partial(worker.ask, "train", size=batch_size, steps=steps) for label, worker in workers.items()}
    rates = measure_rounds(sides, rounds)
    ours, torch, torch_float32 = "kp_tf auto", best(rates, "PyTorch"), best(rates, "PyTorch float32")
    convolutions = workers[ours].ask("convolutions", size=batch_size)
    seconds = 1.0 if rounds > 1 else 0.1
    square, own = _matrix_rates([workers[ours], workers[torch]], convolutions["shapes"], seconds)
    for worker in workers.values():
        worker.close()
    flops_per_image = 2 * PRODUCTS_PER_CONVOLUTION * convolutions["multiply_adds"]
    reached = 1e-9 * flops_per_image * float(np.median(rates[ours]))
    result = {
        **conditions,
        "recipe": recipe,
        "batch_size": batch_size,
        "images_per_second": summarize_all(rates),
        "ratios": {
            f"{ours} / {torch}": ratio(rates, ours, torch),
            f"kp_tf float32 / {torch_float32}": ratio(rates, "kp_tf float32", torch_float32),
            f"{ours} / stock Keras float32": ratio(rates, ours, "stock Keras float32"),
        },
        "gflops_per_second": {
            "training": reached,
            "matrix product": square,
            "matrix product at the convolutions' shapes": own,
        },
        "share_of_matrix_product": reached / max(square.values()),
        "share_at_own_shapes": reached / own,
    }
    save(out, result)


def _matrix_rates(workers: list[Worker], shapes: list[list[int]], seconds: float) -> tuple[dict, float]:
    """GFLOP/s in bfloat16 on the faster worker: of square products by size, and of these shapes together."""

    def seconds_of(m: int, k: int, n: int) -> float:
        return min(worker.ask("product", m=m, k=k, n=n, seconds=seconds) for worker in workers)

    square = {str(size): 2e-9 * size**3 / seconds_of(size, size, size) for size in SIZES}
    seconds_by_shape = {shape: seconds_of(*shape) for shape in {tuple(shape) for shape in shapes}}
    work = sum(2e-9 * np.prod(shape, dtype=float) for shape in shapes)
    return square, float(work / sum(seconds_by_shape[tuple(shape)] for shape in shapes))


def main() -> int:
    parser = argparse.ArgumentParser(description="Images per second of training, beside PyTorch.")
    parser.add_argument("--out", metavar="JSON", type=Path, default=Path("training.json"))
    parser.add_argument("--recipe", choices=(PART3.name, "strong"), default=PART3.name, help="of part 3")
    parser.add_argument("--batch-size", metavar="N", type=int, default=32)
    parser.add_argument("--steps", metavar="N", type=int, default=4, help="of each measurement")
    parser.add_argument("--rounds", metavar="N", type=int, default=9)
    return exit_status("benchmarks.training:measure", **parse_arguments(parser, QUICK))


if __name__ == "__main__":
    sys.exit(main())
