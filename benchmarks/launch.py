"""Start the workers, each in the environment that has its packages."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.virtualenvs import PACKAGES, interpreter
from benchmarks.workers.protocol import Worker
from kp_tf.core.environment import DEFAULTS
from kp_tf.core.errors import KpError
from kp_tf.data.datasets import IbugDataset, find_data
from kp_tf.data.layout import TEST_XMLS
from kp_tf.data.samples import Samples

ROOT = Path(__file__).parents[1]
WORKERS = Path(__file__).parent / "workers"
# glibc keeps large blocks in the process instead of returning them to the kernel; TensorFlow has its own allocator
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**34), "MALLOC_MMAP_MAX_": "0"}


def start_worker(
    name: str, variables: Mapping[str, str] | None = None, environment: str | None = None, **settings: object
) -> Worker:
    """Start `workers/NAME_worker.py`.

    Args:
        name: a worker that runs in the virtual environment of the same name, or, where there is none, in this one.
        environment: another virtual environment, in which the worker imports this project.
        variables: environment variables that it gets unless they are set already.
        settings: what it reads with `protocol.settings`.
    """
    own = name not in PACKAGES
    return Worker(
        sys.executable if own and not environment else interpreter(environment or name),
        WORKERS / f"{name}_worker.py",
        settings,
        {**(variables or {}), **os.environ, "PYTHONPATH": str(ROOT) if own else ""},
    )


def start_keras(precision: str, **settings: object) -> Worker:
    """Start this project's ResNet18, or committed weights, with the environment that its commands set."""
    return start_worker("keras", DEFAULTS, None, precision=precision, **settings)


def start_pytorch(compiled: bool, **settings: object) -> dict[str, Worker]:
    """Start PyTorch in float32 and in bfloat16, each also with torch.compile if asked; return them by label."""
    kinds = [(dtype, jit) for dtype in ("float32", "bfloat16") for jit in (False, True)[: 1 + compiled]]
    return {
        f"PyTorch {dtype}" + ", compiled" * jit: start_worker(
            "pytorch", KEEP_MEMORY, None, dtype=dtype, compiled=jit, **settings
        )
        for dtype, jit in kinds
    }


def read_test(data: str | None) -> Samples:
    """Return the competition's test photographs and boxes from the folder of the data sets.

    Raises:
        KpError: if the folder or its test XML is missing.
    """
    folder = find_data(data, "ibug").folder("ibug")
    samples = IbugDataset(folder).read_test()
    if samples is None:
        raise KpError(f"{folder}: there are no test photographs ({' or '.join(TEST_XMLS)})")
    return samples


def face_list(samples: Samples) -> list[list]:
    """Return faces as requests hold them: [path of the photograph, [left, top, width, height]]."""
    files = [str((samples.root / file).resolve()) for file in samples.files]
    return [[file, box.tolist()] for file, box in zip(files, samples.boxes, strict=True)]
