import numpy as np
import pytest

from kp_tf.core.keypoints import IBUG68
from kp_tf.core.pose import POINTS, SHAPE, fit_head, head_pose
from kp_tf.data.synthetic.head import Face, Head, Pose
from kp_tf.data.synthetic.landmarks import ibug68
from kp_tf.data.synthetic.people import draw_expression, draw_person


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"), [(30, 0, 0), (-30, 0, 0), (0, 15, 0), (0, -15, 0), (0, 0, 40), (25, 10, -20)]
)
def test_angles_of_a_drawn_head(yaw, pitch, roll):
    pose = head_pose(ibug68(Head(Face()), Pose(yaw, pitch, roll, 0.8, 200, 150)))
    # right, up and clockwise are positive; the zero of pitch is not that of the drawn heads
    np.testing.assert_allclose(pose, (yaw, pitch - 1.5, roll), atol=2)


def test_angles_of_people_with_any_expression():
    rng, errors = np.random.default_rng(0), []
    for truth in rng.uniform((-40, -20, -20), (40, 20, 20), (60, 3)):
        head = Head(draw_expression(rng, draw_person(rng).face, "any"))
        errors.append(head_pose(ibug68(head, Pose(*truth, 1.0, 0, 0))) - truth)
    assert np.abs(np.mean(errors, axis=0)).max() < 3
    assert (np.std(errors, axis=0) < (1.5, 2, 1)).all()


def test_the_pose_depends_neither_on_size_nor_on_place():
    points = ibug68(Head(Face()), Pose(20, 5, 10, 1.0, 0, 0))
    np.testing.assert_allclose(head_pose(points), head_pose(1000 * points + (70_000, -3)), atol=1e-9)


def test_a_mirrored_face_has_the_mirrored_pose():
    points = ibug68(Head(Face()), Pose(20, 5, 10, 1.0, 0, 0))
    yaw, pitch, roll = head_pose(points)
    np.testing.assert_allclose(head_pose(points[list(IBUG68.flip_indices)] * (-1, 1)), (-yaw, pitch, -roll), atol=1e-9)


def test_a_missing_point_of_an_eye_or_the_nose_leaves_no_pose():
    points = ibug68(Head(Face()), Pose(20, 5, 10, 1.0, 0, 0))
    expected = head_pose(points)
    points[[0, 60]] = np.nan
    assert head_pose(points) == expected, "the jaw and the mouth are not used"
    points[36] = np.nan
    assert np.isnan(head_pose(points)).all()


def test_the_shape_is_found_again_in_its_own_views():
    (rotation,), (scale,) = fit_head(3 * SHAPE[None, :, :2], SHAPE)
    np.testing.assert_allclose(rotation, np.eye(3), atol=1e-9)
    assert scale == pytest.approx(3)
    assert np.linalg.norm(SHAPE[45 - POINTS[0]] - SHAPE[36 - POINTS[0]]) == pytest.approx(1)
