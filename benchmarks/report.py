"""What every benchmark reports: the machine, and its result as JSON and as a Markdown table."""

import argparse
import os
import platform
from importlib.metadata import version
from pathlib import Path

from benchmarks.workers.protocol import Worker
from kp_tf.core.files import replacing, write_json
from kp_tf.core.hardware import available_cores, cpu_flags, cpu_model

OUTER_EYES = (36, 45)  # of the 68 points: the corners whose distance NME divides by


def processor() -> str:
    """Return the processor as the tables name it."""
    return f"CPU {cpu_model()}, {os.cpu_count()} cores"


def machine(*workers: Worker) -> dict:
    """Return the processor, its load, and the versions of the packages here and in the workers."""
    versions = {name: version(name) for name in ("tensorflow", "keras", "numpy", "pillow")}
    for worker in workers:
        versions |= worker.ask("versions")
    return {
        "processor": cpu_model(),
        "bfloat16": sorted(flag for flag in cpu_flags() if "bf16" in flag),
        "cores": available_cores(),
        "load_before": os.getloadavg(),
        "versions": {"python": platform.python_version(), **versions},
    }


def parse_arguments(parser: argparse.ArgumentParser, quick: dict) -> dict:
    """Parse the command line, with an option `--quick` that sets these values."""
    parser.add_argument("--quick", action="store_true", help="try the program with amounts too small to measure")
    arguments = vars(parser.parse_args())
    return arguments | quick if arguments.pop("quick") else arguments


def save(out: Path, result: dict) -> None:
    """Write a result as JSON and print it."""
    write_json(out, result)
    print(out.read_text(encoding="utf-8"))


def save_table(out: Path, result: dict, lines: list[str]) -> None:
    """Write a result as OUT.json and its table as OUT.md, and print the table."""
    write_json(out.with_suffix(".json"), result)
    with replacing(out.with_suffix(".md")) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
