import subprocess
import sys
from pathlib import Path

import pytest

from kp_tf.devices import strategy_of
from kp_tf.errors import KpError

REPOSITORY = Path(__file__).parents[1]
# the same few steps of plain SGD on one part of the CPU and on two
TWICE = """
import keras, numpy as np, sys
from kp_tf.devices import strategy_of, synchronize
from kp_tf.models.heatmap import heatmap_network
from kp_tf.pipeline import fixed_batches, training_batches
import tensorflow as tf

two = strategy_of(2, 4)
crops = np.random.default_rng(0).integers(0, 256, (11, 32, 32, 1), np.uint8)
units = np.random.default_rng(1).uniform(0, 1, (11, 3, 2)).astype(np.float32)
found = []
for strategy in (tf.distribute.get_strategy(), two):
    with strategy.scope():
        model = heatmap_network((32, 32), 3, seed=0, widths=(8, 8, 16), depths=(1, 1, 1))
        if strategy is two and "apart" not in sys.argv:
            synchronize(model)
        model.compile(keras.optimizers.SGD(0.01), "mse")
    batches = training_batches(crops, units, 4, 0, lambda images, points, draws: (images, points), 1, parts=2)
    logs = model.fit(
        batches, steps_per_epoch=3, epochs=2, validation_data=fixed_batches(crops, units, 4, 2), verbose=0,
        shuffle=False,
    )
    found.append([*model.get_weights(), np.array(logs.history["loss"] + logs.history["val_loss"])])
print(strategy.num_replicas_in_sync, max(np.abs(a - b).max() for a, b in zip(*found)))
"""


def difference(*arguments):
    command = [sys.executable, "-c", TWICE, *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    replicas, largest = done.stdout.split()
    assert replicas == "2"
    return float(largest)


@pytest.mark.slow
def test_two_devices_learn_as_one():
    assert difference() < 1e-5
    assert difference("apart") > 1e-4, "without common statistics"


def test_devices_need_equal_parts_of_a_batch():
    with pytest.raises(KpError, match="--devices 3: expected a batch size of equal parts, found 4"):
        strategy_of(3, 4)
