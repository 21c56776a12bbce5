"""What the points are: names, groups, mirror partners and the eye pair that NME divides by."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scheme:
    """A set of K named points.

    Attributes:
        name: short name, written into a run.
        names: K names, in the order of the points; dlib's XML calls its parts so.
        groups: (name, indices) pairs that together hold every point once.
        mirror: K indices; `mirror[k]` is the point that k becomes in a mirrored photograph. None: no flips.
        eyes: the two points whose distance is the inter-ocular distance. None: no NME.
    """

    name: str
    names: tuple[str, ...]
    groups: tuple[tuple[str, tuple[int, ...]], ...]
    mirror: tuple[int, ...] | None = None
    eyes: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.names)


def _span(first: int, last: int) -> tuple[int, ...]:
    """Indices from first to last, both included, in either direction."""
    step = 1 if last >= first else -1
    return tuple(range(first, last + step, step))


# IMM's annotation is of one camera's view: its path 1 is the eye on the right of the photograph.
# The partners were found by mirroring the mean shape (tests/test_real_data.py proves them on the data).
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
    mirror=(
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
NOSE = Scheme(name="nose", names=("nose",), groups=(("nose", (0,)),), mirror=(0,))

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
    mirror=(
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

SCHEMES = {scheme.name: scheme for scheme in (NOSE, IMM58, IBUG68)}
