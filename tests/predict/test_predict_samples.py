from dataclasses import replace

import numpy as np
import pytest
from helpers import DISC_INFO, DISC_SIZE, disc_network, draw_discs
from PIL import ExifTags, Image

from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.samples import Samples
from kp_tf.predict.samples import predict_samples


def _samples(folder, files, boxes):
    return Samples(folder, files, np.array(boxes, float), None, IBUG68, files)


def _box(x, y):
    return (x - DISC_SIZE / 2, y - DISC_SIZE / 2, DISC_SIZE, DISC_SIZE)


def test_points_of_a_turned_photograph_are_as_stored(tmp_path):
    upright = Image.fromarray(draw_discs((60, 40)))
    upright.save(tmp_path / "a.png")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    # as stored, the upright (x, y) of 320 pixels' width lies at (y, 319 - x); the boxes miss the discs by 4 pixels
    samples = _samples(tmp_path, ("a.png", "turned.png"), [_box(64, 40), _box(40, 319 - 64)])
    outputs = predict_samples(disc_network, samples, DISC_INFO)
    assert outputs.shape == (2, 68, 3)
    np.testing.assert_allclose(outputs[0, :, :2].mean(axis=0), (60, 40), atol=1)
    np.testing.assert_allclose(outputs[1, :, :2].mean(axis=0), (40, 319 - 60), atol=1)
    np.testing.assert_allclose(outputs[1, :, 0], outputs[0, :, 1], atol=0.1)
    np.testing.assert_allclose(outputs[1, :, 1], 319 - outputs[0, :, 0], atol=0.1)
    np.testing.assert_allclose(outputs[..., 2], 1e-4)


def test_faces_keep_their_order_over_several_batches(tmp_path):
    places = [(40 + 3 * k, 60) for k in range(70)]
    files = tuple(f"{k}.png" for k in range(70))
    for file, place in zip(files, places, strict=True):
        Image.fromarray(draw_discs(place)).save(tmp_path / file)
    outputs = predict_samples(disc_network, _samples(tmp_path, files, [_box(*p) for p in places]), DISC_INFO)
    np.testing.assert_allclose(outputs[..., :2].mean(axis=1), places, atol=1)


def test_flips_need_flip_partners(tmp_path):
    scheme = replace(IBUG68, flip_indices=None)
    with pytest.raises(KpError, match="--flips needs a network whose points have flip partners"):
        predict_samples(disc_network, _samples(tmp_path, (), []), replace(DISC_INFO, scheme=scheme), flips=True)


def test_an_unreadable_photograph_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(KpError, match=r"cannot read .*a\.png: not an image file"):
        predict_samples(disc_network, _samples(tmp_path, ("a.png",), [_box(60, 40)]), DISC_INFO)
