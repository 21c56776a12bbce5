"""Files to crops beside PyTorch's Dataset and the bare JPEG decoder; an epoch beside its steps; memory over epochs.

    python -m benchmarks.pipeline --data DIR --out pipeline.json

The photographs are the competition's test photographs, full size, several times over; crops are 224×224.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.turns import Side, best, conditions, in_turns, ratio, report, summary
from kp_tf.data.datasets import find_data, read_test


def measure(data: str | None, times: int, steps: int, rounds: int) -> dict:
    """Images per second of decoding on both sides, of an epoch and its steps, and the memory they take."""
    records = read_test(find_data(data, "ibug"))
    files = [str((records.root / file).resolve()) for file in records.files]
    faces = [[file, box.tolist()] for file, box in zip(files, records.boxes, strict=True)]
    jpegs = [face for face in faces if face[0].endswith(".jpg")]
    names = [file for file, _ in jpegs]
    ours, torch = Side("ours", precision="auto"), Side("pytorch")
    machine = conditions(ours, torch)
    rates = in_turns(
        {
            "kp_tf": lambda: _ask(ours, "decode_faces", faces=faces, times=times),
            "PyTorch Dataset, one process": lambda: _ask(
                torch, "decode_faces", faces=faces, times=times, workers=0
            ),
            "PyTorch Dataset, two workers": lambda: _ask(
                torch, "decode_faces", faces=faces, times=times, workers=2
            ),
            "kp_tf, JPEG only": lambda: _ask(ours, "decode_faces", faces=jpegs, times=times),
            "bare decoder, TensorFlow": lambda: _ask(ours, "bare", files=names, times=times),
            "bare decoder, Pillow": lambda: _ask(torch, "bare", files=names, times=times),
        },
        rounds,
    )
    epochs = in_turns(
        {
            "epoch": lambda: _ask(ours, "epoch", size=32, steps=steps),
            "its steps": lambda: _ask(ours, "train", size=32, steps=steps),
        },
        rounds,
    )
    memory = {}
    for larger in (1, 4):
        fresh = Side("ours", precision="auto")
        memory[f"{larger}x"] = fresh.ask("memory", faces=faces, times=larger * times, epochs=5)
        fresh.close()
    ours.close()
    torch.close()
    dataset, bare = best(rates, "PyTorch"), best(rates, "bare")
    return {
        **machine,
        "photographs": {"all": len(faces), "jpeg": len(jpegs), "times": times},
        "images_per_second": summary(rates | epochs),
        "ratios": {
            f"kp_tf / {dataset}": ratio(rates, "kp_tf", dataset),
            f"kp_tf, JPEG only / {bare}": ratio(rates, "kp_tf, JPEG only", bare),
            "time of an epoch / of its steps": ratio(epochs, "its steps", "epoch"),
        },
        "memory_by_epoch": memory,
    }


def _ask(side: Side, do: str, **request: object) -> float:
    return side.ask(do, **request)["value"]


def main() -> int:
    parser = argparse.ArgumentParser(description="Images per second from files to crops, beside PyTorch.")
    parser.add_argument("--data", metavar="DIR", help="folder of the data sets")
    parser.add_argument("--out", metavar="JSON", type=Path, default=Path("pipeline.json"))
    parser.add_argument("--times", metavar="N", type=int, default=10, help="each photograph in a turn")
    parser.add_argument("--steps", metavar="N", type=int, default=8, help="of batch 32 in an epoch")
    parser.add_argument("--rounds", metavar="N", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="one round of one pass and one step")
    given = parser.parse_args()
    amount = (1, 1, 1) if given.quick else (given.times, given.steps, given.rounds)
    return report(given.out, measure, given.data, *amount)


if __name__ == "__main__":
    sys.exit(main())
