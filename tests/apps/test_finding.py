import numpy as np

from kp_tf.apps.demo.finding import box_around, find_object, usual_box

SHAPE = {"points": [[-1, 0], None, [1, 0]], "centre": [0.5, 0.25], "size": 0.1}
SIZE = (400, 100)


def test_objects_usually_lie_where_their_mean_shape_does():
    np.testing.assert_allclose(usual_box(SHAPE, SIZE), [176.5, 21.5, 48, 8])


def test_a_box_has_a_margin_and_leaves_missing_points_out():
    points = np.array([[10, 20], [np.nan, np.nan], [50, 30]])
    np.testing.assert_allclose(box_around(points), [6.5, 16.5, 48, 18])


def test_a_network_follows_its_own_points():
    target, asked = np.array([300.0, 40]), []

    def predict(box):
        asked.append(box)
        centre = box[:2] + box[2:] / 2
        step = np.clip(target - centre, -70, 70)
        return centre + step + np.array([[-10, -10], [10, 10]])

    box = find_object(predict, np.array([150.0, 30, 24, 24]), SIZE, 1.2)
    assert len(asked) == 2
    np.testing.assert_allclose(box[:2] + box[2:] / 2, target, atol=1)


def test_points_that_stray_from_the_photograph_are_not_followed():
    box = np.array([150.0, 30, 24, 24])
    np.testing.assert_array_equal(find_object(lambda _: np.full((3, 2), 9000.0), box, SIZE, 1.2), box)
