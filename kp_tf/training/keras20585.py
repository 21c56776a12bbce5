"""What `fit` of Keras 3 lacks on several machines; to go when `test_devices.py` says so.

Under `MultiWorkerMirroredStrategy` Keras 3.15 builds a model from its first batch, which it reduces over the
replicas as one structure, and reduces a step's logs along an axis that scalars do not have: both fail
(https://github.com/keras-team/keras/issues/20585).
"""

import keras
import tensorflow as tf


def bridged(model: keras.Model) -> keras.Model:
    """The same layers in a model that `fit` trains under the current strategy."""
    several = isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy)
    return Bridged(model.input, model.output, name=model.name) if several else model


class Bridged(keras.Model):
    """Builds from the local replica's part of the batch; its steps' logs have the shape (1,)."""

    def _maybe_symbolic_build(self, iterator: object = None, data_batch: object = None) -> None:
        if iterator is not None:
            batch = next(next(iter(iterator))[-1])
            data_batch = tf.nest.map_structure(lambda values: values.values[0], batch)
        super()._maybe_symbolic_build(data_batch=data_batch)

    def train_step(self, data: tuple) -> dict[str, tf.Tensor]:
        return {name: tf.reshape(value, (1,)) for name, value in super().train_step(data).items()}

    def test_step(self, data: tuple) -> dict[str, tf.Tensor]:
        return {name: tf.reshape(value, (1,)) for name, value in super().test_step(data).items()}
