"""Fixtures that several rooms share."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
from helpers import picture, write_asf, write_xml, xml_image


@pytest.fixture
def imm(tmp_path):
    """A data folder with IMM's people 31–34, two pictures of each."""
    folder = tmp_path / "faces" / "imm_face_db"
    folder.mkdir(parents=True)
    for person in range(31, 35):
        for number in (1, 3):
            units = np.random.default_rng([person, number]).uniform(0.2, 0.8, (58, 2))
            write_asf(folder / f"{person}-{number}m.asf", units)
            picture(160, 120, person).save(folder / f"{person}-{number}m.jpg")
    return folder.parent


@pytest.fixture
def ibug(tmp_path):
    """A data folder with twenty photographs in iBUG's layout, one in five a PNG, and four test photographs."""
    folder = tmp_path / "faces" / "ibug_300W_large_face_landmark_dataset"
    (folder / "helen").mkdir(parents=True)
    train, test = [], []
    for number in range(24):
        file = f"helen/{number:03d}x.{'png' if number % 5 == 0 else 'jpg'}"
        picture(150, 200, number).save(folder / file)
        box = (30 + number, 20, 60, 64)
        if number < 20:
            train.append(xml_image(file, [box]))
        else:
            test.append(xml_image(file, [box], parts=0))
    write_xml(folder / "labels_ibug_300W_train.xml", train)
    write_xml(folder / "labels_ibug_300W_test_parsed.xml", test)
    return folder.parent
