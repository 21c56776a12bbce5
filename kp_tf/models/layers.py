"""Layers with the layout and the initialization of PyTorch's, so that the course's networks can be compared.

They are functions of a tensor and use `keras` alone. Each layer's weights are drawn from its own integer seed.
"""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import KerasTensor

from kp_tf.models.convolution import Conv2D

layers: Any = keras.layers  # annotated for all backends at once
ops: Any = keras.ops


def layer_seeds(seed: int) -> Iterator[int]:
    """Independent integer seeds for the layers of one network."""
    return iter(np.random.SeedSequence(seed).generate_state(1000).tolist())


def conv(x: KerasTensor, filters: int, kernel: int, seeds: Iterator[int], name: str) -> KerasTensor:
    """A 'valid' convolution; kernel and bias are uniform in ±1/√fan-in, as those of `torch.nn.Conv2d`."""
    start = _uniform(kernel * kernel * x.shape[-1], seeds)
    return layers.Conv2D(filters, kernel, **start, name=name)(x)


def dense(x: KerasTensor, units: int, seeds: Iterator[int], name: str) -> KerasTensor:
    """A dense layer; kernel and bias are uniform in ±1/√fan-in, as those of `torch.nn.Linear`."""
    return layers.Dense(units, **_uniform(x.shape[-1], seeds), name=name)(x)


def _uniform(fan_in: int, seeds: Iterator[int]) -> dict[str, keras.initializers.Initializer]:
    limit = fan_in**-0.5
    return {
        name: keras.initializers.RandomUniform(-limit, limit, seed=next(seeds))
        for name in ("kernel_initializer", "bias_initializer")
    }


def residual_conv(
    x: KerasTensor, filters: int, kernel: int, strides: int, seeds: Iterator[int], name: str
) -> KerasTensor:
    """ResNet's convolution: padded by kernel // 2 on every side, without a bias, He normal over the fan-out."""
    padding = "same" if strides == 1 else "valid"
    if kernel > 1 and strides > 1:  # with a stride of 2, 'same' would pad one side only
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
    start = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal", seed=next(seeds))
    settings = {"strides": strides, "padding": padding, "use_bias": False, "kernel_initializer": start}
    return Conv2D(filters, kernel, **settings, name=name)(x)


def batch_norm(x: KerasTensor, name: str) -> KerasTensor:
    """Batch norm with PyTorch's settings; Keras' momentum of 0.9 is PyTorch's 0.1."""
    return BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


@keras.saving.register_keras_serializable("kp_tf")
class BatchNormalization(layers.BatchNormalization):
    """Keras' own layer, computed by TensorFlow's fused kernel where that gives the same result.

    Keras 3 computes batch norm by moments and element-wise arithmetic, which on a CPU is limited by memory bandwidth.
    Weights, settings and names are those of the stock layer, so each can load the weights of the other.
    """

    def call(self, inputs: KerasTensor, training: bool | None = None, mask: KerasTensor | None = None) -> KerasTensor:
        if mask is not None or not self._is_fusible(inputs):
            return super().call(inputs, training=training, mask=mask)
        from tensorflow import raw_ops  # compat.v1.nn.fused_batch_norm would raise an epsilon of 1e-5 to 1.001e-5

        gamma, beta, mean, variance = (
            ops.cast(weight, "float32") for weight in (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        )
        update = bool(training and self.trainable)
        outputs, batch_mean, batch_variance, *_ = raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=gamma,
            offset=beta,
            mean=[] if update else mean,
            variance=[] if update else variance,
            epsilon=self.epsilon,
            is_training=update,
        )
        if update:
            # the kernel returns the sample variance, N / (N - 1) times the one that Keras stores
            count = ops.cast(ops.prod(ops.shape(inputs)[:3]), "float32")
            batch_variance = batch_variance * ((count - 1) / count)
            self.moving_mean.assign(mean * self.momentum + batch_mean * (1 - self.momentum))
            self.moving_variance.assign(variance * self.momentum + batch_variance * (1 - self.momentum))
        return outputs

    def _is_fusible(self, inputs: KerasTensor) -> bool:
        """Whether the kernel supports these inputs and settings."""
        plain = self.center and self.scale and not self.synchronized and not getattr(self, "renorm", False)
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        half = dtype in ("float16", "bfloat16") and dtype == self.compute_dtype
        picture = len(inputs.shape) == 4 and self.axis in (-1, 3) and (half or dtype == "float32")
        return plain and picture and keras.backend.backend() == "tensorflow"


class _ConstantConv2D(layers.Conv2D):
    """A convolution whose kernel is a constant, which oneDNN reorders once instead of at every call."""

    constant_kernel = None

    def convolution_op(self, inputs: KerasTensor, kernel: KerasTensor) -> KerasTensor:
        return super().convolution_op(inputs, kernel if self.constant_kernel is None else self.constant_kernel)


def folded(model: keras.Model) -> keras.Model:
    """The same network for prediction alone: each batch norm is folded into the convolution before it.

    With fixed statistics, a convolution and its batch norm are together a convolution with another kernel and a bias.
    TensorFlow then computes convolution, bias and ReLU in one pass through memory.

    Args:
        model: a functional model. A batch norm stays if no convolution without a bias precedes it.

    Returns:
        A new model with copies of the weights.
    """
    norms = {}  # by the name of the convolution before
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            before = layer.input._keras_history.operation
            if isinstance(before, layers.Conv2D) and not before.use_bias:
                norms[before.name] = layer
    folded_norms = {norm.name for norm in norms.values()}

    def clone(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        return (
            _ConstantConv2D.from_config(config | {"use_bias": True})
            if layer.name in norms
            else layer.from_config(config)
        )

    def call(layer: keras.Layer, *inputs: KerasTensor, **settings: object) -> KerasTensor:
        return inputs[0] if layer.name in folded_norms else layer(*inputs, **settings)

    result = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in result.layers:
        weights = model.get_layer(layer.name).get_weights()
        if norm := norms.get(layer.name):
            gamma, beta, mean, variance = norm.get_weights()
            scale = gamma / np.sqrt(variance + norm.epsilon)
            weights = [weights[0] * scale, beta - mean * scale]
            layer.constant_kernel = ops.convert_to_numpy(ops.cast(weights[0], layer.compute_dtype))
        layer.set_weights(weights)
    return result


def landmarks(x: KerasTensor, points: int, seeds: Iterator[int]) -> KerasTensor:
    """The last layer: (B, points, 2) in the unit square of the crop, not limited to it."""
    # in float32 whatever the dtype policy: just below 1, a step of bfloat16 is 0.9 of 224 pixels
    x = layers.Dense(2 * points, **_uniform(x.shape[-1], seeds), dtype="float32", name="coordinates")(x)
    return layers.Reshape((points, 2), dtype="float32", name="landmarks")(x)
