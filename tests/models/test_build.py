from dataclasses import replace

import keras
import numpy as np
import pytest

from kp_tf.models.build import build_network
from kp_tf.models.cnn import cnn
from kp_tf.models.resnet18 import resnet18
from kp_tf.recipes import PART1, PART2, RECIPES
from kp_tf.training.model import compiled


def test_initialisation_is_pytorchs():
    plain, res = cnn(PART2.shape, 58, **PART2.settings, seed=3), resnet18((64, 64), 68, seed=3)
    for layer, fan_in in ((plain.get_layer("conv2"), 16 * 25), (plain.get_layer("hidden"), 256)):
        for values in layer.get_weights():
            assert np.abs(values).max() <= fan_in**-0.5
            assert np.abs(values).max() > 0.9 * fan_in**-0.5
            assert values.std() == pytest.approx((3 * fan_in) ** -0.5, rel=0.2)
    kernel = res.get_layer("stage3_block1_conv1").get_weights()[0]  # fan-out 9 × 256
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 256)), rel=0.01)
    assert np.abs(kernel).max() > 3.5 * np.sqrt(2 / (9 * 256)), "not truncated"
    norm = res.get_layer("norm1")
    assert (norm.momentum, norm.epsilon) == (0.9, 1e-5)


def test_seed_fixes_the_weights_and_every_layer_differs():
    one, same, other = (cnn(PART2.shape, 58, **PART2.settings, seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    block = resnet18((64, 64), 68, seed=0)
    kernels = [block.get_layer(f"stage1_block{k}_conv1").get_weights()[0] for k in (1, 2)]
    assert not np.array_equal(*kernels)


def test_a_step_is_traced_once():
    model, traced = compiled(build_network(PART1, 1, seed=0), PART1, None, steps=2), []
    step = model.train_step
    model.train_step = lambda data: traced.append(data) or step(data)
    model.fit(np.zeros((4, 60, 80, 1), np.float32), np.zeros((4, 1, 2), np.float32), 2, verbose=0)
    assert len(traced) == 1


def test_the_precision_is_that_of_the_network_alone():
    before = keras.config.dtype_policy()
    model = build_network(PART1, 1, seed=0, precision="mixed_bfloat16")
    assert model.get_layer("conv1").compute_dtype == "bfloat16"
    assert keras.config.dtype_policy() == before
    with pytest.raises(TypeError):
        build_network(replace(PART1, settings={}), 1, seed=0, precision="mixed_bfloat16")
    assert keras.config.dtype_policy() == before


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: f"{recipe.name}-{recipe.part}")
def test_every_recipe_has_a_network(recipe):
    model = build_network(recipe, 3, seed=0)
    assert model.input_shape == (None, *recipe.shape, 1)
    assert model.output_shape == (None, 3, 2)
