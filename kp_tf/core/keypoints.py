"""What the points of a face are: their names, groups and flip partners, and the eye pair that NME divides by."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from kp_tf.core.errors import KpError

_UNWRITABLE = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # what XML cannot hold


@dataclass(frozen=True)
class Scheme:
    """An annotation scheme: a set of K named points.

    Attributes:
        name: short name, written into runs.
        names: K names in the order of the points: the names of the parts in dlib's XML.
        groups: (name, indices) pairs that hold every point at most once.
        flip_indices: K indices; point k becomes point `flip_indices[k]` in a mirrored photograph. None: no flips.
        eyes: the two points whose distance is the inter-ocular distance. None: no NME.
    """

    name: str
    names: tuple[str, ...]
    groups: tuple[tuple[str, tuple[int, ...]], ...]
    flip_indices: tuple[int, ...] | None = None
    eyes: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def is_plain(self) -> bool:
        """Whether it holds nothing but names."""
        return not (self.groups or self.flip_indices or self.eyes)

    @cached_property
    def part_names(self) -> dict[str, str]:
        """The names by what label files may call them: as they are, and numbers also without leading zeros."""
        short = {str(int(name)): name for name in self.names if name.isdecimal()}
        return short | {name: name for name in self.names}


def _span(first: int, last: int) -> tuple[int, ...]:
    """Indices from first to last, both included, in either direction."""
    step = 1 if last >= first else -1
    return tuple(range(first, last + step, step))


# IMM's path 1 is the eye on the right of the photograph. The flip partners were found by mirroring the mean shape
# (tests/test_real_data.py checks them on the data).
IMM58 = Scheme(
    name="imm58",
    names=tuple(f"{k:02d}" for k in range(58)),
    groups=(
        ("jaw", _span(0, 12)),
        ("brows", _span(29, 38)),
        ("nose", _span(47, 57)),
        ("eyes", _span(13, 28)),
        ("mouth", _span(39, 46)),
    ),
    flip_indices=(
        *_span(12, 0),
        *_span(21, 28),
        *_span(13, 20),
        *_span(34, 38),
        *_span(29, 33),
        *_span(43, 39),
        *_span(46, 44),
        *_span(57, 47),
    ),
    eyes=(13, 21),
)

NOSE_POINT = 52  # of IMM58: the course's nose tip, the sixth from the end
NOSE = Scheme(name="nose", names=("nose",), groups=(("nose", (0,)),), flip_indices=(0,))

IBUG68 = Scheme(
    name="ibug68",
    names=tuple(f"{k:02d}" for k in range(68)),
    groups=(
        ("jaw", _span(0, 16)),
        ("brows", _span(17, 26)),
        ("nose", _span(27, 35)),
        ("eyes", _span(36, 47)),
        ("mouth", _span(48, 67)),
    ),
    flip_indices=(
        *_span(16, 0),
        *_span(26, 17),
        *_span(27, 30),
        *_span(35, 31),
        *_span(45, 42),
        *(47, 46),
        *_span(39, 36),
        *(41, 40),
        *_span(54, 48),
        *_span(59, 55),
        *_span(64, 60),
        *_span(67, 65),
    ),
    eyes=(36, 45),
)

# Kaggle's Facial Keypoints Detection; left and right are the person's
KAGGLE15 = Scheme(
    name="kaggle15",
    names=(
        *("left_eye_center", "right_eye_center", "left_eye_inner_corner", "left_eye_outer_corner"),
        *("right_eye_inner_corner", "right_eye_outer_corner", "left_eyebrow_inner_end", "left_eyebrow_outer_end"),
        *("right_eyebrow_inner_end", "right_eyebrow_outer_end", "nose_tip", "mouth_left_corner"),
        *("mouth_right_corner", "mouth_center_top_lip", "mouth_center_bottom_lip"),
    ),
    groups=(("brows", _span(6, 9)), ("nose", (10,)), ("eyes", _span(0, 5)), ("mouth", _span(11, 14))),
    flip_indices=(1, 0, 4, 5, 2, 3, 8, 9, 6, 7, 10, 12, 11, 13, 14),
    eyes=(5, 3),
)

# as published with Wu et al., Look at Boundary: A Boundary-Aware Face Alignment Algorithm, CVPR 2018; in mmpose's
# order of flip partners. 96 and 97 are the pupils.
WFLW98 = Scheme(
    name="wflw98",
    names=tuple(f"{k:02d}" for k in range(98)),
    groups=(
        ("jaw", _span(0, 32)),
        ("brows", _span(33, 50)),
        ("nose", _span(51, 59)),
        ("eyes", (*_span(60, 75), 96, 97)),
        ("mouth", _span(76, 95)),
    ),
    flip_indices=(
        *_span(32, 0),
        *_span(46, 42),
        *_span(50, 47),
        *_span(37, 33),
        *_span(41, 38),
        *_span(51, 54),
        *_span(59, 55),
        *_span(72, 68),
        *_span(75, 73),
        *_span(64, 60),
        *_span(67, 65),
        *_span(82, 76),
        *_span(87, 83),
        *_span(92, 88),
        *_span(95, 93),
        *(97, 96),
    ),
    eyes=(60, 72),
)

SCHEMES = {scheme.name: scheme for scheme in (NOSE, IMM58, IBUG68, WFLW98, KAGGLE15)}


def recognize(names: Sequence[str], first: Scheme | None = None) -> Scheme | None:
    """The scheme whose points have exactly these names, with or without leading zeros; None if there is none.

    Args:
        names: what a label file calls its points, in any order.
        first: a scheme to try before the published ones, which are IBUG68, IMM58, WFLW98 and KAGGLE15.
    """
    for scheme in (first, IBUG68, IMM58, WFLW98, KAGGLE15):
        if scheme and {scheme.part_names.get(name) for name in names} == set(scheme.names):
            return scheme
    return None


def describe(scheme: Scheme) -> str | dict:
    """A scheme as JSON for `parse_scheme`: its name if it is one of SCHEMES, otherwise all of it."""
    return scheme.name if SCHEMES.get(scheme.name) == scheme else spell_out(scheme)


def spell_out(scheme: Scheme) -> dict:
    """All of a scheme as JSON for `parse_scheme`."""
    names, partners = scheme.names, scheme.flip_indices
    content = {
        "name": scheme.name,
        "names": list(names),
        "groups": {group: [names[k] for k in indices] for group, indices in scheme.groups},
        "mirror": partners and [[names[k], names[other]] for k, other in enumerate(partners) if k < other],
        "eyes": scheme.eyes and [names[k] for k in scheme.eyes],
    }
    return {key: value for key, value in content.items() if value is not None}


def parse_scheme(content: object, where: str, names: Sequence[str] = ()) -> Scheme:
    """Read a scheme from what `describe` returns or from a user's JSON.

    Args:
        content: the name of one of SCHEMES; or an object with "name", "names" (a list), "groups" (lists of point
            names by group name), "mirror" (pairs of names; all other points are their own partners) and "eyes"
            (two names), all of them optional. Without "mirror" nothing is flipped; without "eyes" there is no NME.
        where: the file, for messages.
        names: the names of the points if the content has none.

    Raises:
        KpError: if the content has other keys, or names a point that does not exist.
    """
    if isinstance(content, str) and content in SCHEMES:
        return SCHEMES[content]
    if not isinstance(content, dict) or set(content) - {"name", "names", "groups", "mirror", "eyes"}:
        keys = ", ".join(sorted(content)) if isinstance(content, dict) else content
        raise KpError(f"{where}: expected the keys name, names, groups, mirror and eyes, found {keys}")
    names = _indices(content.get("names", list(names)), None, f"{where}, names")
    if not names:
        raise KpError(f"{where}, names: the list of point names is empty")
    if unwritable := [name for name in names if _UNWRITABLE.search(name)]:
        raise KpError(f"{where}, names: {unwritable[0]!r} has a character that XML cannot hold")
    mirror, eyes, groups = content.get("mirror"), content.get("eyes"), content.get("groups", {})
    if not isinstance(groups, dict) or not isinstance(mirror, list | None):
        raise KpError(f"{where}: groups must be an object and mirror a list of pairs")
    partners = list(range(len(names)))
    for pair in mirror or ():
        a, b = _indices(pair, names, f"{where}, mirror", 2)
        if (partners[a], partners[b]) != (a, b):
            raise KpError(f"{where}, mirror: a point of the pair {pair} is in another pair already")
        partners[a], partners[b] = b, a
    if not isinstance(name := content.get("name", "own"), str):
        raise KpError(f"{where}, name: expected text, found {name}")
    return Scheme(
        name=name,
        names=names,
        groups=tuple((name, _indices(group, names, f"{where}, {name}")) for name, group in groups.items()),
        flip_indices=None if mirror is None else tuple(partners),
        eyes=None if eyes is None else _indices(eyes, names, f"{where}, eyes", 2),
    )


def _indices(listed: object, names: Sequence[str] | None, where: str, count: int | None = None) -> tuple:
    """The indices in `names` of a list of `count` distinct names; without `names`, the list itself."""
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise KpError(f"{where}: expected a list of names, found {listed}")
    if len(set(listed)) != len(listed) or len(listed) != (count or len(listed)):
        raise KpError(f"{where}: expected {count or 'all'} different names, found {', '.join(listed)}")
    unknown = [name for name in listed if names is not None and name not in names]
    if unknown:
        raise KpError(f"{where}: there is no point named {unknown[0]!r}")
    return tuple(listed if names is None else (names.index(name) for name in listed))
