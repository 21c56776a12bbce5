"""What a network computes in: float32, or bfloat16 where the hardware multiplies it well."""

from collections.abc import Collection, Sequence

from kp_tf.core.hardware import cpu_flags

# On two cores with avx512_bf16, ResNet18 at 224 pixels trained at 23 images a second in bfloat16 and at 13.5 in
# float32. A processor without one of these flags only emulates bfloat16.
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
_AMPERE = (8, 0)  # the first NVIDIA generation with bfloat16 in its matrix units


def resolve_precision(precision: str) -> str:
    """Keras' dtype policy for one of `choices.PRECISIONS`: `auto` becomes what this machine's hardware does well."""
    if precision != "auto":
        return precision
    import tensorflow as tf  # to ask for GPUs

    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.get_visible_devices("GPU")]
    capabilities = [detail.get("compute_capability", (0, 0)) for detail in details]
    return "mixed_bfloat16" if has_fast_bfloat16(cpu_flags(), capabilities) else "float32"


def has_fast_bfloat16(flags: Collection[str], capabilities: Sequence[tuple[int, int]]) -> bool:
    """Whether the hardware multiplies bfloat16 faster than float32.

    Args:
        flags: the processor's instruction sets, which count if there is no GPU.
        capabilities: CUDA's compute capability of each GPU; the weakest counts.
    """
    if capabilities:
        return min(capabilities) >= _AMPERE
    return not _BFLOAT16_FLAGS.isdisjoint(flags)
