import pytest

from kp_tf.schemes import IBUG68, IMM58, NOSE, SCHEMES


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_scheme_is_consistent(scheme):
    points = list(range(len(scheme)))
    assert sorted(scheme.mirror) == points
    assert [scheme.mirror[k] for k in scheme.mirror] == points, "a mirror twice is none"
    assert sorted(k for _, group in scheme.groups for k in group) == points
    partner = {k: name for name, group in scheme.groups for k in group}
    assert all(partner[k] == partner[scheme.mirror[k]] for k in points), "partners are in one group"


def test_eye_pairs_are_the_outer_corners():
    assert (IMM58.eyes, IBUG68.eyes, NOSE.eyes) == ((13, 21), (36, 45), None)
    assert IMM58.mirror[13] == 21
    assert IBUG68.mirror[36] == 45


def test_ibug68_mirror_is_the_releases():
    # spelled out as in the maker of the release's mirrors
    jaw, brows, bridge = [*range(16, -1, -1)], [*range(26, 16, -1)], [27, 28, 29, 30]
    nostrils, eyes = [35, 34, 33, 32, 31], [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    outer = [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55]
    inner = [64, 63, 62, 61, 60, 67, 66, 65]
    assert list(IBUG68.mirror) == jaw + brows + bridge + nostrils + eyes + outer + inner
