"""What a network computes in: float32, or bfloat16 where the hardware multiplies it well."""

from kp_tf.core.hardware import cpu_flags

# On two cores with avx512_bf16, ResNet18 at 224 pixels trained at 23 images a second in bfloat16 and at 13.5 in
# float32. A processor without one of these flags only emulates bfloat16.
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
_AMPERE = (8, 0)  # the first NVIDIA generation with bfloat16 in its matrix units


def resolve_precision(precision: str) -> str:
    """Keras' dtype policy for one of `recipes.PRECISIONS`: `auto` becomes what this machine's hardware does well."""
    if precision != "auto":
        return precision
    import tensorflow as tf  # to ask for GPUs

    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        fast = all(detail.get("compute_capability", (0, 0)) >= _AMPERE for detail in details)
    else:
        fast = bool(_BFLOAT16_FLAGS & cpu_flags())
    return "mixed_bfloat16" if fast else "float32"
