"""Training ResNet18 at 224×224 beside stock Keras and PyTorch, programs taking turns on one batch.

    python -m benchmarks.training --out training.json

PyTorch: channels last, in float32 and with bfloat16 autocast, each with and without torch.compile. The machine's
own rate is the best product of bfloat16 matrices that either side reaches.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from benchmarks.turns import Side, best, conditions, in_turns, ratio, report, summary

SIZES = (1024, 2048, 3072, 4096)
PASSES = 3  # forward, and backward by data and by weights


def measure(size: int, steps: int, rounds: int, compiled: bool) -> dict:
    """Images per second of every side, their ratios, and our share of the machine's matrix rate."""
    sides = {
        "kp_tf auto": Side("ours", precision="auto"),
        "kp_tf float32": Side("ours", precision="float32"),
        "stock Keras float32": Side("ours", precision="float32", stock=True),
    }
    for dtype in ("float32", "bfloat16"):
        for compiling in (False, True)[: 1 + compiled]:
            label = f"PyTorch {dtype}" + ", compiled" * compiling
            sides[label] = Side("pytorch", dtype=dtype, compiled=compiling)
    machine = conditions(*sides.values())
    asked = {
        label: lambda side=side: side.ask("train", size=size, steps=steps)["value"] for label, side in sides.items()
    }
    taken = in_turns(asked, rounds)
    ours, torch = "kp_tf auto", best(taken, "PyTorch")
    plain = best(taken, "PyTorch float32")
    shapes = sides[ours].ask("convolutions", size=size)
    square, own = _rates(sides[ours], sides[torch], shapes["shapes"], 1.0 if rounds > 1 else 0.1)
    for side in sides.values():
        side.close()
    reached = 2e-9 * PASSES * shapes["multiply_adds"] * float(np.median(taken[ours]))
    return {
        **machine,
        "network": "ResNet18, grey, 224×224, L1, Adam",
        "batch_size": size,
        "images_per_second": summary(taken),
        "ratios": {
            f"{ours} / {torch}": ratio(taken, ours, torch),
            f"kp_tf float32 / {plain}": ratio(taken, "kp_tf float32", plain),
            f"{ours} / stock Keras float32": ratio(taken, ours, "stock Keras float32"),
        },
        "gflops_per_second": {
            "training": reached,
            "matrix product": square,
            "matrix product at the convolutions' shapes": own,
        },
        "share_of_matrix_product": reached / max(square.values()),
        "share_at_own_shapes": reached / own,
    }


def _rates(ours: Side, torch: Side, shapes: list[list[int]], seconds: float) -> tuple[dict, float]:
    """GFLOP/s in bfloat16, the better of both sides: square products by size, and the convolutions' together."""

    def fastest(m: int, k: int, n: int) -> float:
        return min(side.ask("product", m=m, k=k, n=n, seconds=seconds)["value"] for side in (ours, torch))

    square = {str(size): 2e-9 * size**3 / fastest(size, size, size) for size in SIZES}
    times = {tuple(shape): fastest(*shape) for shape in {tuple(shape) for shape in shapes}}
    work = sum(2e-9 * np.prod(shape, dtype=float) for shape in shapes)
    return square, work / sum(times[tuple(shape)] for shape in shapes)


def main() -> int:
    parser = argparse.ArgumentParser(description="Images per second of training ResNet18, beside PyTorch.")
    parser.add_argument("--out", metavar="JSON", type=Path, default=Path("training.json"))
    parser.add_argument("--batch-size", metavar="N", type=int, default=32)
    parser.add_argument("--steps", metavar="N", type=int, default=4, help="of each turn")
    parser.add_argument("--rounds", metavar="N", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="one round of one step of 4 images, nothing compiled")
    given = parser.parse_args()
    amount = (4, 1, 1, False) if given.quick else (given.batch_size, given.steps, given.rounds, True)
    return report(given.out, measure, *amount)


if __name__ == "__main__":
    sys.exit(main())
