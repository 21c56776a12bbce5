"""Every setting of every part: the one place for a default.

`course` is the project of Berkeley's CS194-26 as its page describes it, and nothing better. Times are for two
cores of an AMD EPYC without a GPU; the scores are in README.md.

    python train.py --part 1    # IMM, nose tip
    python train.py --part 2    # IMM, 58 points
    python train.py --part 3    # iBUG 300-W, 68 points
"""

from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """How one part is trained."""

    name: str
    part: int | None  # None: a user's own labels
    dataset: str  # imm, ibug or labels
    scheme: str | None  # a name in schemes.SCHEMES; None: as the labels have it
    network: str  # a name in networks.NETWORKS
    shape: tuple[int, int]  # (H, W) of the grey input
    loss: str  # Keras' name, or heatmap for models.losses.heatmap_loss
    learning_rate: float
    epochs: int
    batch_size: int
    settings: dict[str, Any] = field(default_factory=dict)  # of the network
    loss_settings: dict[str, float] = field(default_factory=dict)  # of the heatmap loss
    crop_scale: float | None = 1.0  # of the box; 1 stretches it to the input; None: by the training's faces
    looks: int = 1  # each after the first is around the points just found
    wide: float = 1.0  # the first of several looks' window, in windows of the others
    init: str | None = None  # a run or weights to start from, which settle network, shape and stored shape
    teacher: str | None = None  # weights whose points on the training's photographs are learned beside the truth
    augmentation: dict[str, float] = field(default_factory=dict)  # of augment.Augmentation
    calm: float = 0.0  # of the epochs, the last, have half of the augmentation
    # augmentation moves the window inside a larger crop, which is what training keeps in memory
    stored_shape: tuple[int, int] | None = None  # None: the input itself is kept, and only flipped
    stored_scale: float = 1.0
    weight_decay: float | None = None  # None: Adam at one rate; else AdamW, warmed up, then a cosine
    warmup_epochs: int = 0
    precision: str = "float32"  # while training: Keras' dtype policy, or auto (see precision.py)


# without a crop_scale the window is this many times what box and half the faces need, as 1.6 boxes are on iBUG
ROOM = 1.36

TEACHER = 0.5  # a teacher's part of the loss

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
    batch_size=2,  # the course leaves it open; the schedule is short, so many small steps
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
    batch_size=2,  # as part 1; with 4 the first of three seeds reached 29.8 px instead of 20.2
    augmentation={"flip": 0.5},
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

_HEATMAP = Recipe(
    name="strong",
    part=3,
    dataset="ibug",
    scheme="ibug68",
    network="heatmap",
    shape=(128, 128),
    loss="heatmap",
    learning_rate=2e-3,
    epochs=200,
    batch_size=32,
    settings={"widths": (32, 64, 128, 192), "depths": (1, 3, 2, 1)},  # 1.42 M parameters, 135 M multiply-adds
    # pixels of the input: errors under 10 count by their logarithm
    loss_settings={"w": 10.0, "epsilon": 2.0, "pixels": 128.0, "spread": 1.0},
    crop_scale=1.36,  # what lies a little outside, heatmaps still reach
    looks=2,
    wide=1.18,  # the first look is at 1.6 boxes, which cut a point off on 11 of 2,310 faces
    augmentation={
        "flip": 0.5,
        "rotation": 18.0,
        "scale": 0.15,
        "shift": 0.05,
        "stretch": 0.06,
        "shear": 0.06,
        "occlusion": 0.3,
        "shadow": 0.2,
        "gamma": 0.3,
        "contrast": 0.2,
        "brightness": 0.08,
        "blur": 0.2,
        "low_resolution": 0.1,
        "noise": 0.2,
        "cut": 0.1,
    },
    calm=0.2,
    stored_shape=(192, 192),  # 2.04 boxes: at rest the window's pixels are the crop's own
    stored_scale=2.04,
    weight_decay=0.02,
    warmup_epochs=3,
    precision="auto",
)

COMPACT = replace(
    _HEATMAP, epochs=320, teacher="large", loss_settings={**_HEATMAP.loss_settings, "teacher": TEACHER}
)

LARGE = replace(
    _HEATMAP,
    name="large",
    shape=(160, 160),
    settings={"widths": (64, 128, 192, 256), "depths": (1, 2, 2, 2)},  # 4.37 M parameters, 607 M multiply-adds
    stored_shape=(240, 240),
)

OWN = replace(
    _HEATMAP,
    part=None,
    dataset="labels",
    scheme=None,
    epochs=100,
    learning_rate=1e-3,
    crop_scale=None,
    wide=1.0,
    calm=0.0,
    looks=1,  # what is no face may change its shape, which then tells little about the box
)

# IMM has no boxes: the first look is where faces are on average
STRONG1 = replace(OWN, part=1, dataset="imm", scheme="nose", init="compact", looks=3)
STRONG2 = replace(STRONG1, part=2, scheme="imm58")

RECIPES = {
    (recipe.name, recipe.part): recipe for recipe in (PART1, PART2, PART3, COMPACT, LARGE, OWN, STRONG1, STRONG2)
}
