"""Every setting of every recipe, each in one place.

`course` is project 5 of Berkeley's CS194-26 as its page describes it. Times are for two cores of an AMD EPYC without a
GPU; errors are on the validation faces. Those of the last two were measured before their windows were rotated.

    python train.py --part 1                    nose tip, IMM                    24 s, 26.1 px
    python train.py --part 2                    58 landmarks, IMM                91 s, 23.8 px
    python train.py --part 3                    68 landmarks, 300-W              56 min, NME 7.26 %
    python train.py --part 1 --recipe strong    nose tip, from `compact`         1¾ min, 2.5 px
    python train.py --part 2 --recipe strong    58 landmarks, from `compact`     2 min, 4.6 px
    python train.py --part 3 --recipe strong    trains `compact`                 1 h, NME 3.47 %
    python train.py --part 3 --recipe large     trains `large`                   2 h, NME 3.29 %
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any

NETWORKS = ("cnn", "resnet18", "heatmap", "own")  # own: a model that the user passed to `kp_tf.train`
TEACHER_WEIGHT = 0.5  # share of the loss that follows a teacher's points
TEACHER_TOLERANCE = 0.04  # of the window's side: a teacher's point farther from the label is not learned
TEACHER_DEVIATION = 0.05  # likewise, where there is no label: nor one of a wider heatmap
MAX_SHRINK = 1.5  # of stored crops to the network's window: bilinear sampling aliases beyond it
COOLDOWN_STRENGTH = 0.3  # of the augmentation, in the last epochs of recipes that cool down


@dataclass(frozen=True)
class Augmentation:
    """How strongly training pictures are changed; everything is off by default."""

    flip: float = 0.0  # probability of mirroring
    flip_offset: float = 0.0  # of the labels to the right, in mirrored pictures as well; in units of the window's side
    rotation: float = 0.0  # σ in degrees
    scale: float = 0.0  # σ of the logarithm of the factor
    shift: float = 0.0  # σ along x and y, in units of the window's side
    stretch: float = 0.0  # σ of the logarithm of width over height
    shear: float = 0.0  # σ of the tangent of the angle
    occlusion: float = 0.0  # probability of each of two rectangles
    shadow: float = 0.0  # probability that one side is darkened
    gamma: float = 0.0  # σ of the logarithm of the exponent
    contrast: float = 0.0  # σ of the logarithm of the factor
    brightness: float = 0.0  # σ in units of the range from black to white
    blur: float = 0.0  # probability
    low_resolution: float = 0.0  # probability of a half or a quarter of the resolution
    noise: float = 0.0  # probability
    cut: float = 0.0  # probability that up to 30 % on one side are black, as where a photograph ends
    # with rotated windows: rotation, scale and shift above are as the last pass sees the face, these as the first does
    first_pass: float = 0.0  # probability that a picture is shown as in the first pass, in its larger window
    first_pass_rotation: float = 0.0  # uniform between minus and plus this, in degrees
    first_pass_scale: float = 0.0  # σ of the logarithm of the factor
    first_pass_shift: float = 0.0  # σ along x and y, in units of the window's side

    def weakened(self, strength: float) -> "Augmentation":
        """The same with every setting but the flips and the first pass multiplied by `strength`."""
        names = [field.name for field in fields(self) if not field.name.startswith(("flip", "first_pass"))]
        return replace(self, **{name: strength * getattr(self, name) for name in names})


@dataclass(frozen=True)
class Recipe:
    """How a network is trained."""

    name: str
    part: int | None  # of the course; None: a user's own labels
    dataset: str  # imm, ibug or labels
    scheme: str | None  # a name in keypoints.SCHEMES; None: as the labels have it
    network: str  # one of NETWORKS
    shape: tuple[int, int]  # (H, W) of the grey input
    loss: str  # a name of Keras, heatmap or wing for those of models.losses; own: compiled by the user
    learning_rate: float
    epochs: int
    batch_size: int
    settings: dict[str, Any] = field(default_factory=dict)  # of the network
    loss_settings: dict[str, float] = field(default_factory=dict)  # of the heatmap loss
    crop_scale: float | None = None  # side of a square window in units of the box; None: the box itself, stretched
    crop_margin: float | None = None  # if set, crop_scale is this times what box and points of half of the faces need
    num_passes: int = 1  # each pass after the first is centred on the landmarks of the previous one
    first_pass_scale: float = 1.0  # the first pass's window in units of the others'
    rotated_windows: bool = False  # the windows after the first are rotated with the face
    init: str | None = None  # a run or weights to start from, which determine network, shape and stored shape
    teacher: str | None = None  # a run or weights whose points on the training photographs are learned as well
    augmentation: Augmentation = Augmentation()
    cooldown_fraction: float = 0.0  # share of the epochs, at the end, with weaker augmentation
    # augmentation moves the window inside a larger crop, which is what training keeps in memory
    stored_shape: tuple[int, int] | None = None  # None: the input itself is stored, and only flipped
    stored_scale: float = 1.0  # of the stored crop, as crop_scale
    weight_decay: float | None = None  # None: Adam at a constant rate; otherwise AdamW, warmup and a cosine
    warmup_epochs: int = 0
    averaging: float = 0.0  # momentum of averaged weights, which are validated and kept; 0: the last weights are
    precision: str = "float32"  # of training: one of core.choices.PRECISIONS (see backends/precision.py)

    @property
    def takes_whole_photographs(self) -> bool:
        """Whether the network expects whole photographs, all framed alike, instead of boxes of faces."""
        return self.dataset == "imm"

    @property
    def cooldown_epoch(self) -> int:
        """The epoch, counted from 0, from which on the augmentation is weaker."""
        return round((1 - self.cooldown_fraction) * self.epochs)

    @property
    def has_heatmaps(self) -> bool:
        """Whether the network predicts heatmaps, and with them a variance for each point."""
        return self.network == "heatmap"


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
    settings={"convs": ((12, 7), (24, 5), (32, 3)), "hidden": 128},  # 129,842 parameters
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
    batch_size=2,  # as in part 1
    augmentation=Augmentation(flip=0.5),
    settings={"convs": ((16, 5), (24, 5), (32, 3), (64, 3), (128, 3)), "hidden": 200},  # 184,052 parameters
)

PART3 = Recipe(
    name="course",
    part=3,
    dataset="ibug",
    scheme="ibug68",
    network="resnet18",  # 11,240,008 trainable parameters
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
    # in units of 1/128 of the input's side: errors below 10 count by their logarithm
    loss_settings={"w": 10.0, "epsilon": 2.0, "pixels": 128.0, "variance_weight": 1.0},
    crop_scale=1.36,  # heatmaps reach a little outside the window
    num_passes=2,
    first_pass_scale=1.18,  # a window of 1.6 boxes, which misses a point on 11 of 2,310 faces
    augmentation=Augmentation(
        flip=0.5,
        rotation=18.0,
        scale=0.15,
        shift=0.05,
        stretch=0.06,
        shear=0.06,
        occlusion=0.3,
        shadow=0.2,
        gamma=0.3,
        contrast=0.2,
        brightness=0.08,
        blur=0.2,
        low_resolution=0.1,
        noise=0.2,
        cut=0.1,
    ),
    cooldown_fraction=0.2,
    stored_shape=(192, 192),  # of 2.04 boxes: without augmentation, the window's pixels are the crop's own
    stored_scale=2.04,
    weight_decay=0.02,
    warmup_epochs=3,
    precision="auto",
)

_ANY_ANGLE = replace(
    _HEATMAP,
    averaging=0.999,
    cooldown_fraction=0.5,
    rotated_windows=True,
    augmentation=replace(
        _HEATMAP.augmentation,
        rotation=10.0,
        scale=0.1,
        shift=0.04,
        first_pass=0.4,
        first_pass_rotation=60.0,
        first_pass_scale=0.12,
        first_pass_shift=0.05,
        flip_offset=0.003,  # 300-W's labels lie 0.8 pixels to the right of what mirrored faces let a network learn
    ),
    stored_shape=(240, 240),  # of 2.55 boxes, because the first pass's window is larger and at an angle
    stored_scale=2.55,
)

COMPACT = replace(
    _ANY_ANGLE,
    epochs=320,
    teacher="large",
    loss_settings={**_HEATMAP.loss_settings, "teacher_weight": TEACHER_WEIGHT},
)

LARGE = replace(
    _ANY_ANGLE,
    name="large",
    shape=(160, 160),
    settings={"widths": (64, 128, 192, 256), "depths": (1, 2, 2, 2)},  # 4.37 M parameters, 607 M multiply-adds
    crop_scale=1.25,
    first_pass_scale=1.28,  # 1.6 boxes, as with 1.36 and 1.18
    stored_shape=(326, 326),
)

OWN = replace(
    _HEATMAP,
    part=None,
    dataset="labels",
    scheme=None,
    epochs=100,
    learning_rate=1e-3,
    crop_scale=None,
    crop_margin=1.36,
    first_pass_scale=1.0,
    cooldown_fraction=0.0,
    num_passes=1,  # if an object changes shape, its points do not determine its box, and a second pass does not help
)

# IMM has no boxes: the first pass tries nine windows around the place where faces lie on average
STRONG1 = replace(OWN, part=1, dataset="imm", scheme="nose", init="compact", num_passes=3)
STRONG2 = replace(STRONG1, part=2, scheme="imm58")

RECIPES = {
    (recipe.name, recipe.part): recipe for recipe in (PART1, PART2, PART3, COMPACT, LARGE, OWN, STRONG1, STRONG2)
}
