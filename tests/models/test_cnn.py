import numpy as np

from kp_tf.models.cnn import cnn
from kp_tf.recipes import PART1, PART2


def test_part2_is_the_courses_network():
    model = cnn(PART2.shape, 58, **PART2.settings, seed=0)
    assert model.count_params() == 184_052
    assert model.get_layer("pool5").output.shape == (None, 1, 2, 128)
    assert model.get_layer("hidden").kernel.shape == (256, 200)
    assert model.get_layer("coordinates").kernel.shape == (200, 116)


def test_part1_is_three_convolutions_and_two_dense_layers():
    model = cnn(PART1.shape, 1, **PART1.settings, seed=0)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert [kinds.count(kind) for kind in ("Conv2D", "ReLU", "MaxPooling2D", "Dense")] == [3, 4, 3, 2]
    assert model.output.shape == (None, 1, 2)


def test_output_is_not_bounded():
    model = cnn(PART1.shape, 1, **PART1.settings, seed=0)
    model.get_layer("coordinates").bias.assign([-3.0, 4.0])
    x, y = model.predict(np.zeros((1, 60, 80, 1)), verbose=0)[0, 0]
    assert x < -2
    assert y > 3
