"""The points of a project: its scheme, the colours of its groups, and published sets to begin with."""

import re
from collections.abc import Mapping
from pathlib import Path

from kp_tf.apps.demo.labels_file import LabelsFile
from kp_tf.core.errors import KpError
from kp_tf.core.files import read_json
from kp_tf.core.keypoints import IBUG68, IMM58, Scheme, parse_scheme
from kp_tf.data.dlib_xml import in_natural_order
from kp_tf.predict.drawing import point_colours

_COLOUR = re.compile("#[0-9a-f]{6}", re.IGNORECASE)


def _hand() -> Scheme:
    """The 21 points of a hand in MediaPipe's order: the wrist, and four joints of each finger from its root."""
    fingers = ("thumb", "index finger", "middle finger", "ring finger", "little finger")
    names = ("wrist", *(f"{finger} {joint}" for finger in fingers for joint in (1, 2, 3, "tip")))
    groups = tuple((finger, tuple(range(4 * k + 1, 4 * k + 5))) for k, finger in enumerate(fingers))
    return Scheme("hand21", names, (("wrist", (0,)), *groups), eyes=(0, 9))


FIVE = Scheme(
    name="face5",
    names=("left eye", "right eye", "nose", "left mouth corner", "right mouth corner"),
    groups=(("eyes", (0, 1)), ("nose", (2,)), ("mouth", (3, 4))),
    flip_indices=(1, 0, 2, 4, 3),
    eyes=(0, 1),
)
KNOWN_SETS = {
    "68 points of a face": IBUG68,
    "58 points of a face": IMM58,
    "5 points of a face": FIVE,
    "21 points of a hand": _hand(),
}


def read_own_scheme(path: Path) -> Scheme | None:
    """The scheme of a project; None if there is no file. Raises KpError if it cannot be used."""
    return parse_scheme(read_json(path), path.name) if path.exists() else None


def scheme_of_labels(labels: LabelsFile) -> Scheme | None:
    """The published scheme whose points the labels have, or all points that they name; None if they name none."""
    names = labels.point_names()
    if not names:
        return None
    known = next((scheme for scheme in KNOWN_SETS.values() if set(scheme.names) == names), None)
    return known or Scheme("own", in_natural_order(names, labels.path), ())


def read_colours(path: Path) -> dict[str, str]:
    """The colours of a project. Raises KpError if the file cannot be used."""
    return check_colours(read_json(path), path.name) if path.exists() else {}


def check_colours(colours: object, where: str) -> dict[str, str]:
    """CSS colours of six digits by group. Raises KpError if something else is among them."""
    if not isinstance(colours, dict) or not all(isinstance(c, str) and _COLOUR.fullmatch(c) for c in colours.values()):
        raise KpError(f"{where}: expected a colour such as #0b5cad for each group, found {str(colours)[:80]}")
    return colours


def colours_of(scheme: Scheme, chosen: Mapping[str, str]) -> list[str]:
    """The colour of each point: that chosen for its group, or the usual one."""
    colours = point_colours(scheme)
    for group, indices in scheme.groups:
        for index in indices:
            colours[index] = chosen.get(group, colours[index])
    return colours


def scheme_to_json(scheme: Scheme, colours: Mapping[str, str]) -> dict:
    """A scheme with the colours of its points, as the page has it."""
    partners = scheme.flip_indices
    return {
        "name": scheme.name,
        "names": scheme.names,
        "groups": {group: list(indices) for group, indices in scheme.groups},
        "mirror": partners and [[k, other] for k, other in enumerate(partners) if k < other],
        "eyes": scheme.eyes,
        "colours": colours_of(scheme, colours),
    }
