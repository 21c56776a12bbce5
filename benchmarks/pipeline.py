"""The input pipeline: from files to crops beside PyTorch and bare JPEG decoders, an epoch, and memory over epochs.

    python -m benchmarks.pipeline --data DIR --out pipeline.json

The photographs are those of the competition's test set at full size, each read several times. Crops are 224×224.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from benchmarks.interleave import best, measure_rounds, ratio, summarize_all
from benchmarks.launch import KEEP_MEMORY, face_list, read_test, start_keras, start_worker
from benchmarks.report import machine, parse_arguments, save
from kp_tf.cli import exit_status

QUICK = {"times": 1, "steps": 1, "rounds": 1}


def measure(data: str | None, out: Path, times: int, steps: int, rounds: int) -> None:
    """Measure the rates of decoding, of an epoch and of its steps, and the memory that epochs take."""
    faces = face_list(read_test(data))
    jpegs = [face for face in faces if face[0].endswith(".jpg")]
    files = [file for file, _ in jpegs]
    with start_keras("auto") as ours, start_worker("pytorch", KEEP_MEMORY) as torch:
        conditions = machine(torch)
        decode_ours = partial(ours.ask, "decode_faces", times=times)
        decode_torch = partial(torch.ask, "decode_faces", times=times, faces=faces)
        decoders = {
            "kp_tf": partial(decode_ours, faces=faces),
            "PyTorch Dataset, one process": partial(decode_torch, workers=0),
            "PyTorch Dataset, two workers": partial(decode_torch, workers=2),
            "kp_tf, JPEG only": partial(decode_ours, faces=jpegs),
            "bare decoder, TensorFlow": partial(ours.ask, "decode_files", files=files, times=times),
            "bare decoder, Pillow": partial(torch.ask, "decode_files", files=files, times=times),
        }
        rates = measure_rounds(decoders, rounds)
        tasks = {"epoch": "epoch", "its steps": "train"}
        epochs = measure_rounds(
            {label: partial(ours.ask, task, size=32, steps=steps) for label, task in tasks.items()}, rounds
        )
    memory = {}
    for factor in (1, 4):
        with start_keras("auto") as worker:
            memory[f"{factor}x"] = worker.ask("memory", faces=faces, times=factor * times, epochs=5)
    dataset, bare = best(rates, "PyTorch"), best(rates, "bare")
    result = {
        **conditions,
        "photographs": {"all": len(faces), "jpeg": len(jpegs), "times": times},
        "images_per_second": summarize_all(rates | epochs),
        "ratios": {
            f"kp_tf / {dataset}": ratio(rates, "kp_tf", dataset),
            f"kp_tf, JPEG only / {bare}": ratio(rates, "kp_tf, JPEG only", bare),
            "time of an epoch / of its steps": ratio(epochs, "its steps", "epoch"),
        },
        "memory_by_epoch": memory,
    }
    save(out, result)


def main() -> int:
    parser = argparse.ArgumentParser(description="Images per second from files to crops, beside PyTorch.")
    parser.add_argument("--data", metavar="DIR", help="folder of the data sets")
    parser.add_argument("--out", metavar="JSON", type=Path, default=Path("pipeline.json"))
    parser.add_argument("--times", metavar="N", type=int, default=10, help="each photograph in a measurement")
    parser.add_argument("--steps", metavar="N", type=int, default=8, help="of batch 32 in an epoch")
    parser.add_argument("--rounds", metavar="N", type=int, default=7)
    return exit_status("benchmarks.pipeline:measure", **parse_arguments(parser, QUICK))


if __name__ == "__main__":
    sys.exit(main())
