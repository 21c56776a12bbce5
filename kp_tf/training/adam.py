"""The optimizers of the recipes: Keras' Adam and AdamW, on TensorFlow with one kernel for each variable's step.

Keras writes the step as some twenty operations on each variable: more to trace before the first step, and more passes
through memory in every step.
"""

from typing import Any

import keras

from kp_tf.recipes import Recipe


def optimizer_of(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    """The recipe's optimizer with its schedule, with `steps` per epoch."""
    if recipe.weight_decay is None:
        return Adam(recipe.learning_rate, epsilon=1e-8)  # PyTorch's epsilon
    warmup = min(recipe.warmup_epochs, recipe.epochs - 1) * steps
    rate = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 100 if warmup else recipe.learning_rate,
        recipe.epochs * steps - warmup,
        alpha=0.005,
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = AdamW(
        rate,  # pyright: ignore[reportArgumentType] Keras' annotation leaves out schedules
        weight_decay=recipe.weight_decay,
        global_clipnorm=5.0,
        use_ema=recipe.averaging > 0,
        ema_momentum=recipe.averaging,
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


class _OneKernel:
    """Replaces the step of `keras.optimizers.Adam` without `amsgrad` on TensorFlow; settings and variables stay the
    same."""

    beta_1: float
    beta_2: float
    epsilon: float
    iterations: Any
    _momentums: list
    _velocities: list
    _get_variable_index: Any

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update a variable and its moments (Kingma and Ba, Adam: A Method for Stochastic Optimization, 2015)."""
        if keras.backend.backend() != "tensorflow":
            stock: Any = super()
            stock.update_step(gradient, variable, learning_rate)
            return
        import tensorflow as tf

        index, dtype = self._get_variable_index(variable), variable.dtype
        step = tf.cast(self.iterations + 1, dtype)
        beta_1, beta_2 = tf.constant(self.beta_1, dtype), tf.constant(self.beta_2, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=beta_1**step,
            beta2_power=beta_2**step,
            lr=tf.cast(learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.constant(self.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )


@keras.saving.register_keras_serializable("kp_tf")
class Adam(_OneKernel, keras.optimizers.Adam):
    """Keras' Adam."""


@keras.saving.register_keras_serializable("kp_tf")
class AdamW(_OneKernel, keras.optimizers.AdamW):
    """Keras' AdamW."""
