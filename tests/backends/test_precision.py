from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from kp_tf.artifacts.weights import PATHS
from kp_tf.backends import precision
from kp_tf.backends.precision import resolve
from kp_tf.recipes import PART2, RECIPES
from kp_tf.training import config
from kp_tf.training.networks import build


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx512f avx512_bf16 avx512_vnni", "mixed_bfloat16"),
        ("fpu amx_bf16 amx_tile", "mixed_bfloat16"),
        ("fpu avx2 avx512f avx512bw", "float32"),
    ],
)
def test_auto_goes_by_the_processor(tmp_path, monkeypatch, flags, expected):
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda _: [])
    monkeypatch.setattr(precision, "CPUINFO", tmp_path / "cpuinfo")
    assert resolve("auto") == "float32", "no such file, as on macOS"
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t: x\n\nflags\t: other\n")
    assert resolve("auto") == expected
    assert [resolve(name) for name in ("float32", "mixed_bfloat16")] == ["float32", "mixed_bfloat16"]


@pytest.mark.parametrize(
    ("capabilities", "expected"), [([(9, 0)], "mixed_bfloat16"), ([(9, 0), (7, 5)], "float32")]
)
def test_auto_goes_by_the_weakest_gpu(monkeypatch, capabilities, expected):
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda _: capabilities)
    details = lambda capability: {"compute_capability": capability}  # noqa: E731
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details)
    assert resolve("auto") == expected


def test_course_trains_in_float32_and_all_else_by_the_hardware():
    for (name, _), recipe in RECIPES.items():
        assert recipe.precision == ("float32" if name == "course" else "auto")


def test_coordinates_are_float32_and_finer_than_bfloat16():
    for model in (build(PART2, 58, 0, "mixed_bfloat16"), build(RECIPES["strong", 3], 68, 0, "mixed_bfloat16")):
        assert model.output.dtype == "float32"
    model = build(PART2, 58, 0, "mixed_bfloat16")
    assert model.get_layer("conv1").compute_dtype == "bfloat16"
    model.get_layer("coordinates").bias.assign(np.full(116, 1 + 1e-3))  # bfloat16 has no number between 1 and 1.008
    model.get_layer("coordinates").kernel.assign(np.zeros((200, 116)))
    np.testing.assert_allclose(model.predict_on_batch(np.zeros((1, 120, 160, 1))), 1 + 1e-3, rtol=1e-6)


def test_resnet18_in_bfloat16_is_near_float32():

    small = replace(RECIPES["course", 3], shape=(64, 64))
    exact, fast = (build(small, 68, 0, p) for p in ("float32", "mixed_bfloat16"))
    fast.set_weights(exact.get_weights())
    assert {layer.compute_dtype for layer in fast.layers if "norm" in layer.name} == {"bfloat16"}
    images = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 64, 64, 1)).astype(np.float32)
    one, other = exact.predict_on_batch(images), fast.predict_on_batch(images)
    assert 0 < np.abs(one - other).max() < 0.05 * np.abs(one).max()


def test_config_keeps_what_auto_became(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "resolve", {"auto": "mixed_bfloat16", "float32": "float32"}.get)
    (tmp_path / "imm_face_db").mkdir()
    numbers = ("epochs", "batch_size", "learning_rate", "seed")
    none = dict.fromkeys([*PATHS, *numbers, "init", "teacher", "precision", "deterministic", "skip_bad"])
    given = none | {"data": str(tmp_path)}
    asked = [("course", None), ("course", "auto"), ("strong", None), ("strong", "float32")]
    kept = [config.new_config(2, recipe, given | {"precision": p})["precision"] for recipe, p in asked]
    assert kept == ["float32", "mixed_bfloat16", "mixed_bfloat16", "float32"]
