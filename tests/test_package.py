"""`import kp_tf`: what it offers, what it leaves out, and the layers that it registers with Keras."""

import subprocess
import sys
from pathlib import Path

import pytest

import kp_tf

REPOSITORY = Path(__file__).parents[1]


def run(code, *paths, arguments=()):
    """Run Python code in an interpreter of its own, with `paths` before all others."""
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {[str(path) for path in paths]}\n{code}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 0, done.stderr


def test_public_names_are_pinned_and_importable():
    assert kp_tf.__all__ == [
        *("NME", "Face", "FaceData", "HeatmapLoss", "KpError", "Predictor", "TrainedRun", "WingLoss"),
        *("cnn", "draw", "heatmap_network", "load_data", "resnet18", "train", "with_variance"),
    ]
    assert [getattr(kp_tf, name).__name__ for name in kp_tf.__all__] == kp_tf.__all__
    assert set(kp_tf.__all__) < set(dir(kp_tf))
    with pytest.raises(AttributeError, match="module 'kp_tf' has no attribute 'Faces'"):
        kp_tf.Faces  # noqa: B018


def test_import_imports_nothing_large():
    run("import kp_tf; dir(kp_tf); assert not {'keras', 'tensorflow', 'numpy', 'PIL'} & set(sys.modules)")


LOAD = """
import importlib, importlib.util
import kp_tf
assert importlib.util.find_spec("keras"), "as programs do that ask whether it is installed"
import keras
path = "tests/artifacts/old_run/part3-strong/model.keras"
assert keras.saving.load_model(path).output.shape == (None, 68, 2)
model = kp_tf.with_variance(kp_tf.heatmap_network((32, 32), 4, widths=(8, 8), depths=(1, 1)))
model.compile("adam", kp_tf.HeatmapLoss(pixels=32), metrics=[kp_tf.NME((0, 1))])
model.save(sys.argv[1])
assert importlib.import_module("importlib.resources").files(keras).joinpath("__init__.py").is_file()
assert type(keras.__spec__.loader).__module__ == type(keras.__loader__).__module__ == "_frozen_importlib_external"

keras.saving.get_custom_objects().clear()
for name in [name for name in sys.modules if name.split(".")[0] == "kp_tf"]:
    del sys.modules[name]
import kp_tf  # after Keras
assert keras.saving.load_model(path).output.shape == (None, 68, 2)
loaded = keras.models.load_model(sys.argv[1])
assert (type(loaded.loss), loaded.loss.pixels) == (kp_tf.HeatmapLoss, 32)
"""


def test_keras_loads_runs_and_compiled_models_whichever_is_imported_first(tmp_path):
    run(LOAD, arguments=[str(tmp_path / "compiled.keras")])


FAKE = """
import importlib
import kp_tf
del sys.modules["kp_tf"]
import kp_tf  # twice
import keras
assert keras.__spec__.loader.get_source("keras") == keras.__loader__.get_source("keras") == "NAME = 'another'"
assert "kp_tf.models.heatmap" not in sys.modules
importlib.reload(keras)
del sys.modules["keras"], sys.modules["kp_tf"]
import keras, kp_tf  # the other way round
assert keras.NAME == "another"
"""


def test_a_keras_that_cannot_be_used_is_imported_all_the_same(tmp_path):
    (tmp_path / "keras.py").write_text("NAME = 'another'")
    run(FAKE, tmp_path)


def test_an_error_in_keras_is_its_own(tmp_path):
    (tmp_path / "keras.py").write_text("raise RuntimeError('of Keras')")
    run("import kp_tf\ntry:\n import keras\nexcept RuntimeError as error: assert str(error) == 'of Keras'", tmp_path)


def test_without_keras_the_error_is_the_usual_one():
    # -S leaves the installed packages out
    code = "import kp_tf, importlib.util as u; assert u.find_spec('keras') is None; import keras"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    assert "ModuleNotFoundError: No module named 'keras'" in done.stderr
