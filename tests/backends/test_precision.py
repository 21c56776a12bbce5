from dataclasses import replace

import numpy as np
import pytest

from kp_tf.backends.precision import has_fast_bfloat16, resolve_precision
from kp_tf.core.choices import PRECISIONS
from kp_tf.models.build import build_network
from kp_tf.recipes import COMPACT, PART2, PART3, RECIPES
from kp_tf.training.config import new_config
from kp_tf.training.options import Options


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx512f avx512_bf16 avx512_vnni", True),
        ("fpu amx_bf16 amx_tile", True),
        ("fpu avx2 avx512f avx512bw", False),
        ("", False),
    ],
)
def test_without_gpus_the_processor_counts(flags, expected):
    assert has_fast_bfloat16(flags.split(), []) is expected


@pytest.mark.parametrize(
    ("capabilities", "expected"), [([(9, 0)], True), ([(8, 0)], True), ([(9, 0), (7, 5)], False), ([(0, 0)], False)]
)
def test_the_weakest_gpu_counts(capabilities, expected):
    assert has_fast_bfloat16(["avx512_bf16"], capabilities) is expected


def test_auto_becomes_what_the_hardware_does_well():
    assert resolve_precision("auto") in ("float32", "mixed_bfloat16")
    assert [resolve_precision(name) for name in PRECISIONS[1:]] == ["float32", "mixed_bfloat16"]


def test_the_course_trains_in_float32_and_all_else_by_the_hardware():
    for (name, _), recipe in RECIPES.items():
        assert recipe.precision == ("float32" if name == "course" else "auto")


def test_a_training_keeps_what_auto_became(tmp_path):
    (tmp_path / "imm_face_db").mkdir()
    asked = [("course", None), ("course", "auto"), ("strong", None), ("strong", "float32")]
    options = [Options(part=2, recipe=recipe, data=str(tmp_path), precision=precision) for recipe, precision in asked]
    auto = resolve_precision("auto")
    assert [new_config(one).recipe.precision for one in options] == ["float32", auto, auto, "float32"]


def test_coordinates_are_float32_and_finer_than_bfloat16():
    for model in (build_network(PART2, 58, 0, "mixed_bfloat16"), build_network(COMPACT, 68, 0, "mixed_bfloat16")):
        assert model.output.dtype == "float32"
    model = build_network(PART2, 58, 0, "mixed_bfloat16")
    assert model.get_layer("conv1").compute_dtype == "bfloat16"
    model.get_layer("coordinates").bias.assign(np.full(116, 1 + 1e-3))  # bfloat16 has no number between 1 and 1.008
    model.get_layer("coordinates").kernel.assign(np.zeros((200, 116)))
    np.testing.assert_allclose(model.predict_on_batch(np.zeros((1, 120, 160, 1))), 1 + 1e-3, rtol=1e-6)


def test_resnet18_in_bfloat16_is_near_float32():
    small = replace(PART3, shape=(64, 64))
    exact, fast = (build_network(small, 68, 0, precision) for precision in ("float32", "mixed_bfloat16"))
    fast.set_weights(exact.get_weights())
    assert {layer.compute_dtype for layer in fast.layers if "norm" in layer.name} == {"bfloat16"}
    images = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 64, 64, 1)).astype(np.float32)
    one, other = (model(images, training=False).numpy() for model in (exact, fast))
    assert 0 < np.abs(one - other).max() < 0.05 * np.abs(one).max()
