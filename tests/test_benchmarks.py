"""Both sides of the benchmarks compute the same."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benchmarks.environments import installed
from kp_tf.models.resnet18 import resnet18

PROGRAM = Path(__file__).parents[1] / "benchmarks" / "pytorch.py"
PYTHON = sys.executable if find_spec("torch") else installed("pytorch")


@pytest.mark.skipif(PYTHON is None, reason="no PyTorch: `python -m benchmarks.environments pytorch` installs it")
def test_pytorchs_resnet18_is_ours(tmp_path):
    model = resnet18((64, 64), 68, seed=0)
    rng = np.random.default_rng(0)
    for weight in model.weights:  # batch norm's are all 0 or 1 else
        if weight.ndim == 1:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    images = rng.uniform(-0.5, 0.5, (3, 64, 64, 1)).astype(np.float32)
    np.savez(tmp_path / "weights.npz", **{weight.path: weight.numpy() for weight in model.weights})
    np.save(tmp_path / "images.npy", images)
    request = {"do": "outputs", **{name: str(tmp_path / file) for name, file in FILES.items()}}
    subprocess.run([PYTHON, PROGRAM, "{}"], input=json.dumps(request), text=True, check=True, capture_output=True)
    expected = model.predict_on_batch(images)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=2e-4 * np.abs(expected).max())


FILES = {"weights": "weights.npz", "images": "images.npy", "out": "out.npy"}
