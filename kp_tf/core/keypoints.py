"""What the points are: names, groups, mirror partners and the eye pair that NME divides by."""

from collections.abc import Sequence
from dataclasses import dataclass

from kp_tf.core.errors import KpError


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


def describe(scheme: Scheme) -> str | dict:
    """What a run keeps of a scheme: the name of one of SCHEMES, else all of it, fit for JSON and `parse_scheme`."""
    if SCHEMES.get(scheme.name) == scheme:
        return scheme.name
    names, mirror = scheme.names, scheme.mirror
    content = {
        "name": scheme.name,
        "names": list(names),
        "groups": {group: [names[k] for k in indices] for group, indices in scheme.groups},
        "mirror": mirror and [[names[k], names[other]] for k, other in enumerate(mirror) if k < other],
        "eyes": scheme.eyes and [names[k] for k in scheme.eyes],
    }
    return {key: value for key, value in content.items() if value is not None}


def parse_scheme(content: object, where: str, names: Sequence[str] = ()) -> Scheme:
    """A scheme from what `describe` gives, or from a user's JSON.

    Args:
        content: the name of one of SCHEMES; or "name", "names" (a list), "groups" (lists of names by name),
            "mirror" (pairs of names; the others are their own partners) and "eyes" (two names), all optional.
            Without "mirror" there are no flips, without "eyes" no NME.
        where: for messages.
        names: the points' names where the content has none.

    Raises:
        KpError: if anything else is in it, or a name is none of the points'.
    """
    if isinstance(content, str) and content in SCHEMES:
        return SCHEMES[content]
    if not isinstance(content, dict) or set(content) - {"name", "names", "groups", "mirror", "eyes"}:
        found = ", ".join(sorted(content)) if isinstance(content, dict) else content
        raise KpError(f"{where}: expected name, names, groups, mirror or eyes, found {found}")
    names = _indices(content.get("names", list(names)), None, f"{where}, names")
    if not names:
        raise KpError(f"{where}, names: expected the names of points, found none")
    mirror, eyes, groups = content.get("mirror"), content.get("eyes"), content.get("groups", {})
    if not isinstance(groups, dict) or not isinstance(mirror, list | None):
        raise KpError(f"{where}: expected groups by name and a list of mirror pairs, found other types")
    partners = list(range(len(names)))
    for pair in mirror or ():
        a, b = _indices(pair, names, f"{where}, mirror", 2)
        if (partners[a], partners[b]) != (a, b):
            raise KpError(f"{where}, mirror: expected each point in one pair, found another with {pair}")
        partners[a], partners[b] = b, a
    return Scheme(
        name=str(content.get("name", "own")),
        names=names,
        groups=tuple((name, _indices(group, names, f"{where}, {name}")) for name, group in groups.items()),
        mirror=None if mirror is None else tuple(partners),
        eyes=None if eyes is None else _indices(eyes, names, f"{where}, eyes", 2),
    )


def _indices(found: object, names: Sequence[str] | None, where: str, count: int | None = None) -> tuple:
    """The places in `names` of a list of different names, `count` of them; without `names` the list itself."""
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise KpError(f"{where}: expected a list of names, found {found}")
    if len(set(found)) != len(found) or len(found) != (count or len(found)):
        raise KpError(f"{where}: expected {count or 'all'} different names, found {', '.join(found)}")
    unknown = [name for name in found if names is not None and name not in names]
    if unknown:
        raise KpError(f"{where}: expected names of points, found {unknown[0]!r}")
    return tuple(found if names is None else (names.index(name) for name in found))
