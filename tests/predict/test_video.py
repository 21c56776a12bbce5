import json
import sys

import numpy as np
import pytest
from test_tracking import RUN, Finder, frame, network

from kp_tf.core.environment import exit_status
from kp_tf.core.errors import KpError
from kp_tf.predict import command as predicting
from kp_tf.predict.predictor import Predictor

av = pytest.importorskip("av", reason="the extra video is not installed")


def write(path, pictures, turn=0, **options):
    """Grey pictures as a clip of ten frames a second, which its metadata turns against the clock."""
    with av.open(str(path), "w", options=options) as out:
        stream = out.add_stream("libx264rgb", rate=10, options={"crf": "5"})
        stream.height, stream.width = pictures[0].shape
        stream.pix_fmt = "rgb24"
        if turn:
            stream.set_display_rotation(turn)
        for picture in pictures:
            colours = np.ascontiguousarray(np.repeat(picture[..., None], 3, axis=2))
            out.mux(stream.encode(av.VideoFrame.from_ndarray(colours, "rgb24")))
        out.mux(stream.encode())


MOVING = [frame((60 + 4 * k, 60))[:, :319] for k in range(12)]


@pytest.fixture
def clip(tmp_path, monkeypatch):
    """Twelve frames of odd width in which a face moves, and a predictor that finds it."""
    path = tmp_path / "clip.mp4"
    write(path, MOVING)
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


@pytest.mark.skipif(
    not hasattr(av.video.stream.VideoStream, "set_display_rotation"), reason="needs av 18 to write it"
)
@pytest.mark.parametrize("turn", [90, 180, -90])
def test_a_clip_that_is_turned_by_its_metadata(turn, clip, tmp_path):
    stored = [np.rot90(picture, -turn // 90) for picture in MOVING]
    write(clip, stored, turn)
    predicting.predict([str(clip)], out=tmp_path / "out")
    for picture, one in zip(
        stored, json.loads((tmp_path / "out" / "points.json").read_text())["frames"], strict=True
    ):
        centre = np.argwhere(picture).mean(axis=0)[::-1]
        (face,) = one["faces"]
        assert abs(np.mean(face["points"], axis=0) - centre).max() < 4, "in the pixels as stored"
    with av.open(str(tmp_path / "out" / "drawn" / "clip.mp4")) as drawn:
        shown = next(drawn.decode(video=0))
    assert (shown.width, shown.height, shown.rotation) == (318, 120, 0)


def audio(path):
    with av.open(str(path), "w", format="wav") as out:
        stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        sound.sample_rate = 8000
        out.mux(stream.encode(sound))


def cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def cut_behind_its_index(path):
    write(path, MOVING, movflags="faststart")
    path.write_bytes(path.read_bytes()[:-500])


def damage(path):
    content = bytearray(path.read_bytes())
    middle = content.index(b"mdat") + 1500
    content[middle : middle + 300] = bytes(300)
    path.write_bytes(content)


BAD = {
    "a text": lambda path: path.write_text("This is no clip.\n" * 99),
    "an empty file": lambda path: path.write_bytes(b""),
    "sound alone": audio,
    "cut off": cut,
    "cut off behind its index": cut_behind_its_index,
    "damaged": damage,
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_clip_is_one_line_and_leaves_nothing(name, clip, tmp_path, capsys):
    BAD[name](clip)
    out = tmp_path / "out"
    assert exit_status("kp_tf.predict.command:predict", photographs=[str(clip)], out=out) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {clip}: expected a clip, found")
    assert [path.name for path in out.rglob("*")] == ["drawn"]


def test_a_clip_goes_alone_into_a_folder(clip, tmp_path):
    with pytest.raises(KpError, match=r"--out DIR"):
        predicting.predict([str(clip)])
    with pytest.raises(KpError, match=r"missing\.mp4: expected a clip, found no such file"):
        predicting.predict([str(tmp_path / "missing.mp4")], out=tmp_path / "out")


def test_a_missing_pyav_names_its_extra(clip, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(KpError, match="pip install av"):
        predicting.predict([str(clip)], out=tmp_path / "out")
