"""Every setting of every part: the one place for a default.

`course` is the project of Berkeley's CS194-26 as its page describes it, and nothing better. Times are for two
cores of an AMD EPYC without a GPU; the scores are in README.md.

    python train.py --part 1    # IMM, nose tip
    python train.py --part 2    # IMM, 58 points
    python train.py --part 3    # iBUG 300-W, 68 points
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """How one part is trained."""

    name: str
    part: int
    dataset: str  # imm or ibug
    scheme: str  # a name in schemes.SCHEMES
    network: str  # a name in training.NETWORKS
    shape: tuple[int, int]  # (H, W) of the grey input
    loss: str  # Keras' name
    learning_rate: float
    epochs: int
    batch_size: int
    flip: float = 0.0  # share of the training pictures that are mirrored
    crop_scale: float = 1.0  # of the box; 1 stretches the box itself to the input
    settings: dict[str, Any] = field(default_factory=dict)  # of the network


PART1 = Recipe(
    name="course",
    part=1,
    dataset="imm",
    scheme="nose",
    network="cnn",
    shape=(60, 80),
    loss="mse",
    learning_rate=5e-4,
    epochs=20,
    batch_size=8,  # the course leaves it open; 192 pictures in 20 epochs of 24 steps
    settings={"convs": ((12, 7), (24, 5), (32, 3)), "hidden": 128},
)

PART2 = Recipe(
    name="course",
    part=2,
    dataset="imm",
    scheme="imm58",
    network="cnn",
    shape=(120, 160),
    loss="mse",
    learning_rate=1e-3,
    epochs=30,
    batch_size=8,  # as part 1
    flip=0.5,
    settings={"convs": ((16, 5), (24, 5), (32, 3), (64, 3), (128, 3)), "hidden": 200},
)

PART3 = Recipe(
    name="course",
    part=3,
    dataset="ibug",
    scheme="ibug68",
    network="resnet18",
    shape=(224, 224),
    loss="mae",
    learning_rate=5e-4,
    epochs=5,
    batch_size=64,
)

RECIPES = {(recipe.name, recipe.part): recipe for recipe in (PART1, PART2, PART3)}
