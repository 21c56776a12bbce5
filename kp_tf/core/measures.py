"""How far eyes and mouth are open, from the 68 points of 300-W."""

import numpy as np


def eye_aspect_ratios(points: np.ndarray) -> np.ndarray:
    """How far the eyes are open: the mean height of each eye's four lid points over its width.

    T. Soukupová, J. Čech: Real-Time Eye Blink Detection using Facial Landmarks, Computer Vision Winter Workshop, 2016.

    Args:
        points: (68, 2) in pixels.

    Returns:
        (2,): of the eye on the left of the upright picture (points 36–41), and of the other (42–47). NaN where a point
        is missing.
    """
    return np.array([_height_by_width(points[eye], [(1, 5), (2, 4)], (0, 3)) for eye in (range(36, 42), range(42, 48))])


def mouth_aspect_ratio(points: np.ndarray) -> float:
    """How far the mouth is open: the mean of three distances between the inner lips over the inner mouth's width.

    The same ratio as for the eyes: (|61−67| + |62−66| + |63−65|) / (3 |60−64|).

    Args:
        points: (68, 2) in pixels.

    Returns:
        0 for a closed mouth. NaN where a point is missing.
    """
    return _height_by_width(points, [(61, 67), (62, 66), (63, 65)], (60, 64))


def _height_by_width(points: np.ndarray, heights: list[tuple[int, int]], width: tuple[int, int]) -> float:
    def distance(pair: tuple[int, int]) -> float:
        return float(np.linalg.norm(points[pair[0]] - points[pair[1]]))

    if not (across := distance(width)):
        return np.nan
    return sum(map(distance, heights)) / len(heights) / across
