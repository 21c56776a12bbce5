import json
from types import SimpleNamespace

import numpy as np
import pytest
from discs import DISC_SIDES_INFO, disc_sides
from helpers import DISC_INFO, FakeDetector, disc_network, draw_discs
from PIL import Image

from kp_tf.apps.demo.proposals import Key, Loaded, Proposals
from kp_tf.predict.predictor import Predictor

USUAL = np.array([140.0, 40, 40, 40])


def propose(tmp_path, monkeypatch, loaded, centre, box=USUAL, own="001"):
    path = tmp_path / "photo.png"
    Image.fromarray(draw_discs(*[centre] if centre else [])).save(path)
    proposals = Proposals()
    monkeypatch.setattr(proposals, "own", lambda project: (own, Key(own)) if own else None)
    monkeypatch.setattr(proposals, "load", lambda key: loaded)
    network, faces = proposals.faces(SimpleNamespace(scheme=loaded.info.scheme), path, box)
    assert network == (own or "compact")
    return [face.points.mean(axis=0) for face in faces]


@pytest.mark.parametrize("centre", [(165, 60), (40, 50)])
def test_an_object_is_proposed_wherever_it_is(tmp_path, monkeypatch, centre):
    loaded = Loaded(DISC_SIDES_INFO, disc_sides, Predictor(DISC_SIDES_INFO, disc_sides))
    (found,) = propose(tmp_path, monkeypatch, loaded, centre)
    np.testing.assert_allclose(found, centre, atol=2)
    assert propose(tmp_path, monkeypatch, loaded, centre, box=None) == []


def test_faces_are_proposed_where_the_detector_finds_them_and_otherwise_where_they_usually_are(tmp_path, monkeypatch):
    def loaded(*centres):
        return Loaded(DISC_INFO, disc_network, Predictor(DISC_INFO, disc_network, FakeDetector(*centres)))

    (found,) = propose(tmp_path, monkeypatch, loaded((50, 60)), (50, 60))
    np.testing.assert_allclose(found, (50, 60), atol=2)
    (found,) = propose(tmp_path, monkeypatch, loaded(), (165, 60))
    np.testing.assert_allclose(found, (165, 60), atol=2)
    assert propose(tmp_path, monkeypatch, loaded(), (165, 60), own=None) == []


@pytest.mark.parametrize(
    ("nme", "expected"),
    [
        ({}, {"error": 9, "mean_shape": 10, "unit": "pixels"}),
        ({"val_nme": 0.18, "mean_shape_nme": 0.2}, {"error": 18, "mean_shape": 20, "unit": "% of the size"}),
    ],
)
def test_the_newest_network_is_compared_with_the_mean_shape(tmp_path, nme, expected):
    project, proposals = SimpleNamespace(folder=tmp_path), Proposals()
    assert proposals.networks(project) == {"runs": [], "hardly_better": None}
    for name, error in (("001", 2), ("002", 9)):
        run = tmp_path / "runs" / name
        run.mkdir(parents=True)
        (run / "model.keras").touch()
        scores = {"val_mean_error_px": error, "mean_shape_error_px": 10, **nme}
        (run / "metrics.json").write_text(json.dumps(scores))
        if name == "001":
            assert proposals.networks(project) == {"runs": ["001"], "hardly_better": None}
    assert proposals.networks(project) == {"runs": ["002", "001"], "hardly_better": expected}
