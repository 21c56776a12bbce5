import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kp_tf.artifacts.info import ModelInfo, upgraded
from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import IBUG68, IMM58, Scheme
from kp_tf.core.mean_face import MeanFace
from kp_tf.recipes import COMPACT, RECIPES

PATH = Path("runs/part3-strong-001")
FACE = MeanFace(np.array([0.1, 0.2, 0.5, 0.6]), np.random.default_rng(0).uniform(size=(68, 2)))
OWN = Scheme("own", ("tip", "a", "b"), (("claws", (1, 2)),), flip_indices=(0, 2, 1))


def through_json(info):
    return ModelInfo.from_json(info.path, json.loads(json.dumps(info.to_json())), info.metrics)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: f"{recipe.name}-{recipe.part}")
def test_settings_come_back_from_json(recipe):
    again = through_json(ModelInfo(PATH, recipe, OWN, is_sample=True))
    lists = json.loads(json.dumps(recipe.settings))
    assert again == ModelInfo(PATH, replace(recipe, settings=lists), OWN, is_sample=True)


def test_mean_faces_come_back_from_json():
    again = through_json(ModelInfo(PATH, COMPACT, IBUG68, mean_face=FACE))
    np.testing.assert_array_equal(again.mean_face.points, FACE.points)
    assert again.framing is None
    again = through_json(ModelInfo(PATH, COMPACT, IBUG68, framing=FACE))
    np.testing.assert_array_equal(again.framing.box, FACE.box)
    assert again.mean_face is None


def test_a_network_is_calibrated_if_its_metrics_say_so():
    info = ModelInfo(PATH, COMPACT, IMM58)
    assert (info.name, info.calibration) == ("part3-strong-001", None)
    assert replace(info, metrics={"calibration": [-7.0, -1.5]}).calibration == (-7.0, -1.5)


CONFIG = ModelInfo(PATH, COMPACT, IBUG68, mean_face=FACE).to_json()


def recipe_with(**changes):
    return CONFIG | {"recipe": CONFIG["recipe"] | changes}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({name: CONFIG[name] for name in ("recipe", "sample")}, "the setting 'scheme' is missing"),
        (CONFIG | {"scheme": "ibug69"}, "expected the keys name, names"),
        (CONFIG | {"recipe": 3}, "a setting cannot be used"),
        (CONFIG | {"mean_face": {"box": [0, 0, 1, 1]}}, "the setting 'points' is missing"),
        (CONFIG | {"mean_face": FACE.to_json() | {"box": [0, 0, 1]}}, "a mean face has a box of"),
        (CONFIG | {"mean_face": FACE.to_json() | {"box": [0, 0, 1, 0]}}, "a mean face has no finite size"),
        (recipe_with(colour=3), "a setting cannot be used: .*colour"),
        (recipe_with(shape=[128]), r"shape is \(128,\)"),
        (recipe_with(shape=[128, 1e9]), r"shape is \(128, 1000000000\.0\)"),
        (recipe_with(network="vit"), "network is 'vit', not one of"),
        (recipe_with(num_passes="2"), "num_passes is '2', not a number"),
        (recipe_with(augmentation={"zoom": 1}), "a setting cannot be used: .*zoom"),
    ],
)
def test_settings_that_cannot_be_used_are_named(config, message):
    with pytest.raises(KpError, match=rf"^{PATH}.*{message}"):
        ModelInfo.from_json(PATH, config, {})


def test_todays_settings_are_not_changed():
    assert upgraded(CONFIG) is CONFIG
