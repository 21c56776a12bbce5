"""What a network computes in: float32, or bfloat16 where the hardware multiplies it well."""

from pathlib import Path

import tensorflow as tf

CPUINFO = Path("/proc/cpuinfo")
# on two cores with avx512_bf16 ResNet18 at 224 trained at 23 images a second in bfloat16, 13.5 in float32;
# a processor without one of these only emulates bfloat16
FLAGS = {"avx512_bf16", "amx_bf16"}
AMPERE = (8, 0)  # the first NVIDIA generation with bfloat16 in its matrix units


def resolve(precision: str) -> str:
    """Keras' dtype policy for a choice of the user: `auto` becomes what this machine's hardware does well."""
    if precision != "auto":
        return precision
    gpus = tf.config.get_visible_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    if gpus:
        fast = all(detail.get("compute_capability", (0, 0)) >= AMPERE for detail in details)
    else:
        fast = bool(FLAGS & _cpu_flags())
    return "mixed_bfloat16" if fast else "float32"


def _cpu_flags() -> set[str]:
    """The first core's flags; none where the system does not tell them."""
    lines = CPUINFO.read_text().splitlines() if CPUINFO.is_file() else []
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())
