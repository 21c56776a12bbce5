import json
import sys

import numpy as np
import pytest
from test_tracking import RUN, Finder, frame, network

from kp_tf import predicting
from kp_tf.errors import KpError
from kp_tf.predictor import Predictor

av = pytest.importorskip("av", reason="the extra video is not installed")


@pytest.fixture
def clip(tmp_path, monkeypatch):
    """Twelve frames of odd width in which a face moves, and a predictor that finds it."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264rgb", rate=10, options={"crf": "5"})
        stream.width, stream.height, stream.pix_fmt = 319, 120, "rgb24"
        for k in range(12):
            picture = np.repeat(frame((60 + 4 * k, 60))[:, :319, None], 3, axis=2)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")))
        out.mux(stream.encode())
    predictor = Predictor(RUN, network, Finder((60, 60)))
    monkeypatch.setattr(predicting.Predictor, "load", lambda run: predictor)
    return path


def test_a_clip_comes_out_with_points_and_plays(clip, tmp_path, capsys):
    predicting.predict([str(clip)], out=tmp_path / "out")
    assert "1 faces in 12 frames" in capsys.readouterr().out
    content = json.loads((tmp_path / "out" / "points.json").read_text())
    assert [one["seconds"] for one in content["frames"]] == pytest.approx(np.arange(12) / 10)
    for k, one in enumerate(content["frames"]):
        (face,) = one["faces"]
        assert face["number"] == 1
        assert abs(np.mean(face["points"], axis=0) - (60 + 4 * k, 60)).max() < 4
    with av.open(str(tmp_path / "out" / "drawn" / "clip.mp4")) as drawn:
        frames = list(drawn.decode(video=0))
    assert [(one.width, one.height) for one in frames] == [(318, 120)] * 12
    assert float(frames[-1].time) == pytest.approx(1.1)
    apart = frames[5].to_ndarray(format="rgb24").astype(int)
    assert (np.ptp(apart, axis=2) > 60).any(), "the points have colours, the clip has none"


def test_what_is_no_clip_is_one_line_and_leaves_nothing(clip, tmp_path):
    clip.write_bytes(b"no clip" * 99)
    with pytest.raises(KpError, match=r"clip\.mp4: expected a clip, found: Invalid data"):
        predicting.predict([str(clip)], out=tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["drawn"]
    with pytest.raises(KpError, match=r"--out DIR"):
        predicting.predict([str(clip)])
    with pytest.raises(KpError, match=r"missing\.mp4: expected a clip, found no such file"):
        predicting.predict([str(tmp_path / "missing.mp4")], out=tmp_path / "out")


def test_a_missing_pyav_names_its_extra(clip, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(KpError, match="pip install av"):
        predicting.predict([str(clip)], out=tmp_path / "out")
