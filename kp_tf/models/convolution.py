"""Keras' convolution with a faster gradient of its kernel in bfloat16 on processors."""

from typing import Any

import keras

layers: Any = keras.layers  # annotated for all backends at once
ops: Any = keras.ops

SMALL = 64  # pixels of an output at most, for which matrix products are faster


@keras.saving.register_keras_serializable("kp_tf")
class Conv2D(layers.Conv2D):
    """Keras' own layer; on processors and in bfloat16, some gradients of the kernel are computed in another way.

    oneDNN's kernel for them is several times slower than a matrix product where the output is small, and slower than
    in float32 where the input has a single channel. All other layers and gradients are TensorFlow's own.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Convolve; see `keras.layers.Conv2D`."""
        if keras.backend.backend() != "tensorflow" or not self._is_slow(inputs):
            return super().convolution_op(inputs, kernel)
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            return super().convolution_op(inputs, kernel)
        strides, padding = [1, *self.strides, 1], self.padding.upper()

        @tf.custom_gradient
        def convolve(inputs: tf.Tensor, kernel: tf.Tensor) -> tuple:
            def gradients(outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                of_inputs = tf.raw_ops.Conv2DBackpropInput(
                    input_sizes=tf.shape(inputs),
                    filter=kernel,
                    out_backprop=outputs,
                    strides=strides,
                    padding=padding,
                )
                return of_inputs, _kernel_gradient(inputs, outputs, kernel.shape, strides, padding)

            return tf.nn.conv2d(inputs, kernel, strides, padding), gradients

        return convolve(inputs, ops.cast(kernel, self.compute_dtype))  # a tensor, which a variable is not

    def _is_slow(self, inputs: Any) -> bool:
        plain = self.groups == 1 and self.dilation_rate == (1, 1) and self.data_format == "channels_last"
        height, width = self.compute_output_shape(inputs.shape)[1:3]
        is_small = None not in (height, width) and height * width <= SMALL
        return plain and self.compute_dtype == "bfloat16" and (is_small or inputs.shape[-1] == 1)


def _kernel_gradient(inputs: Any, outputs: Any, shape: Any, strides: list[int], padding: str) -> Any:
    """The gradient (h, w, C, F) of a kernel from the inputs (B, H, W, C) and the gradient (B, H', W', F) of outputs."""
    import tensorflow as tf

    height, width, channels, filters = shape
    if channels == 1:
        gradient = tf.raw_ops.Conv2DBackpropFilter(
            input=tf.cast(inputs, tf.float32),
            filter_sizes=shape,
            out_backprop=tf.cast(outputs, tf.float32),
            strides=strides,
            padding=padding,
        )
        return tf.cast(gradient, inputs.dtype)
    rows = tf.reshape(outputs, (-1, filters))
    if strides == [1, 1, 1, 1]:  # one product for each place of the kernel, without a copy of all patches
        if padding == "SAME":
            before, after = ((height - 1) // 2, height // 2), ((width - 1) // 2, width // 2)
            inputs = tf.pad(inputs, [[0, 0], before, after, [0, 0]])
        h, w = outputs.shape[1:3]
        shifted = [inputs[:, y : y + h, x : x + w] for y in range(height) for x in range(width)]
        products = [tf.matmul(tf.reshape(each, (-1, channels)), rows, transpose_a=True) for each in shifted]
        return tf.reshape(tf.stack(products), shape)
    patches = tf.image.extract_patches(inputs, [1, height, width, 1], strides, [1, 1, 1, 1], padding)
    patches = tf.reshape(patches, (-1, height * width * channels))
    return tf.reshape(tf.matmul(patches, rows, transpose_a=True), shape)
