"""Programs that take turns, so that a machine that slows down slows all of them, and what their times come to."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.environments import python_of
from kp_tf.core.environment import SETTINGS
from kp_tf.core.errors import KpError
from kp_tf.core.files import write_json

HERE = Path(__file__).parent
# large blocks stay with the process instead of going back to the kernel; TensorFlow's side has its own allocator
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**34), "MALLOC_MMAP_MAX_": "0"}


class Side:
    """A program beside this file that answers JSON lines, with `settings` as its argument.

    It runs in the virtual environment of its own name, or of another one's.
    """

    def __init__(self, program: str, environment_of: str | None = None, **settings: object) -> None:
        own = program == "ours"
        helpful = {"TF_CPP_MIN_LOG_LEVEL": "3"} if settings.get("stock") else SETTINGS if own else KEEP_MEMORY
        environment = {**helpful, **os.environ, "PYTHONPATH": str(HERE.parent) if own else ""}
        self.process = subprocess.Popen(
            [python_of(environment_of or program), str(HERE / f"{program}.py"), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ask(self, do: str, **request: object) -> dict:
        """The answer to a request.

        Raises:
            KpError: if the program ended instead; what it wrote to stderr has been shown.
        """
        self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise KpError(f"{' '.join(self.process.args)}: expected an answer to {do}, found that it ended")
        return json.loads(line)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def in_turns(sides: Mapping[str, Callable[[], float]], rounds: int, warm_up: int = 1) -> dict[str, list[float]]:
    """What each side gives in each round, A B A B; `warm_up` rounds before do not count."""
    taken = {name: [] for name in sides}
    for number in range(-warm_up, rounds):
        for name, side in sides.items():
            value = side()
            if number >= 0:
                taken[name].append(value)
            print(f"round {number + 1} of {rounds}, {name}: {value:.4g}", file=sys.stderr, flush=True)
    return taken


def summary(taken: Mapping[str, list[float]]) -> dict[str, dict]:
    """Median, quartiles and all values of each side."""
    return {
        name: {
            "median": float(np.median(values)),
            "quartiles": [float(value) for value in np.percentile(values, [25, 75])],
            "values": [round(float(value), 5) for value in values],
        }
        for name, values in taken.items()
    }


def ratio(taken: Mapping[str, list[float]], one: str, other: str) -> dict:
    """One side's value over the other's: median and quartiles of the rounds' ratios, each of one moment."""
    return summary({"": np.array(taken[one]) / np.array(taken[other])})[""]


def best(taken: Mapping[str, list[float]], start: str, largest: bool = True) -> str:
    """The side with the best median among those whose name begins so."""
    names = [name for name in taken if name.startswith(start)]
    return (max if largest else min)(names, key=lambda name: np.median(taken[name]))


def conditions(*sides: Side) -> dict:
    """The machine, and the versions on both sides."""
    from kp_tf.backends.precision import CPUINFO, FLAGS, _cpu_flags

    lines = CPUINFO.read_text().splitlines() if CPUINFO.is_file() else []
    names = {line.split(":")[1].strip() for line in lines if line.startswith("model name")}
    versions = {name: version(name) for name in ("tensorflow", "keras", "numpy", "pillow")}
    for side in sides:
        versions |= side.ask("versions")
    return {
        "processor": ", ".join(sorted(names)) or platform.machine(),
        "bfloat16": sorted(FLAGS & _cpu_flags()),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg(),
        "versions": {"python": platform.python_version(), **versions},
    }


def report(out: Path, measure: Callable[..., dict], *amount: object) -> int:
    """Write what a measurement gives as JSON and print it; the command's exit status."""
    try:
        write_json(out, measure(*amount))
    except KpError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.status
    print(out.read_text())
    return 0
