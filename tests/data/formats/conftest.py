"""A folder of photographs with labels for each format: two faces on one photograph, one that is stored turned."""

import numpy as np
import pytest
from PIL import ExifTags, Image

from kp_tf.core.keypoints import Scheme
from kp_tf.data.samples import Samples

NAMES = ("nose", "left eye", "right eye")
SIZE = (160, 120)  # of a.png and sub/b.jpg, as stored


@pytest.fixture
def photographs(tmp_path):
    """A folder with a.png and sub/b.jpg, which is upright after a quarter turn."""
    folder = tmp_path / "photographs"
    (folder / "sub").mkdir(parents=True)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("L", SIZE).save(folder / "a.png")
    Image.new("RGB", SIZE).save(folder / "sub" / "b.jpg", exif=exif)
    return folder


@pytest.fixture
def labels(photographs):
    """Three faces in pixels as stored; two of them lack a point."""
    nothing = (np.nan, np.nan)
    points = [
        [(10, 20), (30.25, 40.5), nothing],
        [(100, 60), (110, 50), (90, 50)],
        [nothing, (0, 0), (159, 119)],
    ]
    boxes = np.array([(5, 15, 40, 30), (80, 40, 40.5, 41), (0, 0, 160, 120)], float)
    scheme, files = Scheme("own", NAMES, ()), ("a.png", "a.png", "sub/b.jpg")
    return Samples(photographs, files, boxes, np.array(points, float), scheme, ("1", "2", "3"))
