import re

import pytest
from PIL import Image

from kp_tf.data.synthetic.photographs import draw_ibug


@pytest.fixture(scope="session")
def drawn_face(tmp_path_factory):
    """A picture of 260 × 260 pixels with a drawn face, and the box of that face."""
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "sample").mkdir()
    label = draw_ibug(folder, seed=0, test=False, number=1)
    sides = [re.search(rf"{name}='(-?\d+)'", label) for name in ("left", "top", "width", "height")]
    with Image.open(folder / "sample" / "00001.jpg") as image:
        return image.convert("RGB"), tuple(float(side[1]) for side in sides)
