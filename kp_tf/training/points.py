"""What the labels of a user's own points hold, printed before the training: a typo shows here."""

import sys

import numpy as np

from kp_tf.core.keypoints import Scheme
from kp_tf.data.datasets import Split

FEW = 0.1  # of the boxes: a point that fewer of them have may be a typo
MAX_LISTED = 20  # names in a line


def report_points(split: Split) -> None:
    """Print how many faces have each of the points, and warn on stderr of what may be a typo."""
    scheme = split.training.scheme
    labels = np.concatenate([side.labels for side in split])
    counts = (~np.isnan(labels[..., 0])).sum(axis=0).tolist()
    print(describe_points(scheme, counts, len(labels)))
    for warning in doubtful_points(scheme, counts, len(labels)):
        print(f"warning: {warning}", file=sys.stderr)


def describe_points(scheme: Scheme, counts: list[int], boxes: int) -> str:
    """One line: what the K points are, and how many of the boxes have each of them."""
    parts = []
    for count in sorted(set(counts), reverse=True):
        names = [name for name, other in zip(scheme.names, counts, strict=True) if other == count]
        listed = ", ".join(names) if len(names) <= MAX_LISTED else f"{len(names)} points"
        parts.append(f"{listed} in {'all' if count == boxes else count}")
    known = "" if scheme.name == "own" else f" of {scheme.name}"
    flips = "without" if scheme.flip_indices is None else "with"
    points = "1 point" if len(scheme) == 1 else f"{len(scheme)} points"
    return f"{points}{known}, {flips} flip pairs, in {boxes} box{'' if boxes == 1 else 'es'}: {'; '.join(parts)}"


def doubtful_points(scheme: Scheme, counts: list[int], boxes: int) -> list[str]:
    """Messages on points that few of the boxes have, and on names that differ in case, spaces or zeros only."""
    messages, seen = [], {}
    for name, count in zip(scheme.names, counts, strict=True):
        alike = seen.setdefault("".join(name.split()).casefold().lstrip("0"), name)
        if alike != name:
            messages.append(f"{alike!r} and {name!r} are trained as two different points")
        if count < boxes and (count <= 2 or count < FEW * boxes):
            messages.append(f"the point {name!r} is in only {count} of {boxes} boxes")
    if messages:
        messages.append("correct the labels, or list the right names in a --scheme; other parts are left out then")
    return messages
