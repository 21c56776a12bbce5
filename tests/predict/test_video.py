import json
import sys
from fractions import Fraction

import numpy as np
import pytest
from helpers import DISC_INFO, FakeDetector, disc_network, draw_discs

from kp_tf.cli import exit_status
from kp_tf.core.errors import KpError
from kp_tf.predict.command import predict
from kp_tf.predict.predictor import Predictor
from kp_tf.predict.tracking import Tracker
from kp_tf.predict.video import predict_clip

av = pytest.importorskip("av", reason="the extra video is not installed")

MOVING = [draw_discs((60 + 4 * k, 60))[:, :319] for k in range(12)]  # of odd width


def write_clip(path, frames, rotation=0, **options):
    """Frames (H, W) or (H, W, 3), ten per second, which the metadata rotates counterclockwise by so many degrees."""
    with av.open(str(path), "w", options=options) as out:
        stream = out.add_stream("libx264rgb", rate=10, options={"crf": "5"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "rgb24"
        if rotation:
            stream.set_display_rotation(rotation)
        for frame in frames:
            colours = frame if frame.ndim == 3 else np.repeat(frame[..., None], 3, axis=2)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(colours), "rgb24")))
        out.mux(stream.encode())


@pytest.fixture
def clip(tmp_path):
    """Twelve frames in which a face moves."""
    path = tmp_path / "clip.mp4"
    write_clip(path, MOVING)
    return path


@pytest.fixture
def track(clip, tmp_path):
    """Predict the clip; returns its frames as JSON has them."""

    def run():
        predictor = Predictor(DISC_INFO, disc_network, FakeDetector((60, 60)))
        assert predict_clip(predictor, clip, tmp_path / "points.json", tmp_path / "drawn.mp4") == (12, 1)
        return json.loads((tmp_path / "points.json").read_text())["frames"]

    return run


def test_a_clip_comes_out_with_points_and_plays(track, tmp_path):
    frames = track()
    assert [frame["seconds"] for frame in frames] == pytest.approx(np.arange(12) / 10)
    for k, frame in enumerate(frames):
        (face,) = frame["faces"]
        assert face["number"] == 1
        assert abs(np.mean(face["points"], axis=0) - (60 + 4 * k, 60)).max() < 4
    with av.open(str(tmp_path / "drawn.mp4")) as drawn:
        pictures = list(drawn.decode(video=0))
    assert [(picture.width, picture.height) for picture in pictures] == [(318, 120)] * 12
    assert float(pictures[-1].time) == pytest.approx(1.1)
    colours = pictures[5].to_ndarray(format="rgb24").astype(int)
    assert (np.ptp(colours, axis=2) > 60).any(), "the points have colours, the clip has none"


@pytest.mark.skipif(not hasattr(av.video.stream.VideoStream, "set_display_rotation"), reason="needs av 18 to write it")
@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_clip_that_its_metadata_rotates(rotation, track, clip, tmp_path):
    stored = [np.rot90(frame, -rotation // 90) for frame in MOVING]
    write_clip(clip, stored, rotation)
    for pixels, frame in zip(stored, track(), strict=True):
        centre = np.argwhere(pixels).mean(axis=0)[::-1]
        (face,) = frame["faces"]
        assert abs(np.mean(face["points"], axis=0) - centre).max() < 4, "in pixels as stored"
    with av.open(str(tmp_path / "drawn.mp4")) as drawn:
        shown = next(drawn.decode(video=0))
    assert (shown.width, shown.height, shown.rotation) == (318, 120, 0)


def test_a_missing_pyav_names_its_extra(track, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(KpError, match=r"clips need PyAV \(pip install av\)"):
        track()


def write_sound(path):
    with av.open(str(path), "w", format="wav") as out:
        stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        sound.sample_rate = 8000
        out.mux(stream.encode(sound))


def cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def cut_behind_its_index(path):
    write_clip(path, MOVING, movflags="faststart")
    path.write_bytes(path.read_bytes()[:-500])


def damage(path):
    content = bytearray(path.read_bytes())
    middle = content.index(b"mdat") + 1500
    content[middle : middle + 300] = bytes(300)
    path.write_bytes(content)


UNREADABLE = "cannot read {} as a clip: "
BAD = {
    "a text": (lambda path: path.write_text("This is no clip.\n" * 99), [UNREADABLE]),
    "an empty file": (lambda path: path.write_bytes(b""), [UNREADABLE]),
    "sound alone": (write_sound, ["{}: the file has no video stream"]),
    "cut off": (cut, [UNREADABLE, "{}: the video stream has no pictures"]),  # it depends on FFmpeg's version
    "cut off behind its index": (cut_behind_its_index, ["{}: the clip is damaged or cut off"]),
    "damaged": (damage, ["{}: the clip is damaged or cut off"]),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_clip_is_one_line_and_leaves_nothing(name, clip, tmp_path, capsys):
    spoil, messages = BAD[name]
    spoil(clip)
    options = {"photographs": [str(clip)], "out": tmp_path / "out", "detector": FakeDetector((60, 60))}
    assert exit_status("kp_tf.predict.command:predict", **options) == 2
    network, line = capsys.readouterr().err.splitlines()
    assert network == "network: compact"
    assert line.startswith(tuple("error: " + message.format(clip) for message in messages))
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["drawn"]


def test_the_command_tracks_a_clip(tmp_path, drawn_face, capsys):
    image, box = drawn_face
    write_clip(tmp_path / "clip.mp4", [np.asarray(image)] * 2)
    out = tmp_path / "out"
    predict([str(tmp_path / "clip.mp4")], out=out, detector=lambda picture: np.array([box]))
    drawn = out / "drawn" / "clip.mp4"
    assert capsys.readouterr().out == f"1 face in 2 frames: {out / 'points.json'}, the clip with points: {drawn}\n"
    assert drawn.is_file()
    content = json.loads((out / "points.json").read_text())
    assert (content["network"], content["file"], len(content["frames"])) == ("compact", str(tmp_path / "clip.mp4"), 2)


def test_what_clips_cannot_have_is_refused(clip, tmp_path):
    for arguments, message in (
        ({"photographs": [str(clip)]}, r"clip\.mp4: clips need --out DIR"),
        ({"photographs": [str(clip)], "out": tmp_path, "format": "pts"}, "clips cannot be written as pts"),
        ({"photographs": [str(clip)], "out": tmp_path, "boxes": [(1, 2, 3, 4)]}, "clips cannot be used with --box"),
        ({"photographs": ["missing.mp4"], "out": tmp_path}, r"cannot read missing\.mp4: no such file"),
    ):
        with pytest.raises(KpError, match=message):
            predict(**arguments)


def seconds_of(path, tmp_path):
    """The times of the frames of a clip of twelve frames."""
    predictor = Predictor(DISC_INFO, disc_network, FakeDetector((60, 60)))
    assert predict_clip(predictor, path, tmp_path / "points.json", tmp_path / "drawn.mp4") == (12, 1)
    with av.open(str(tmp_path / "drawn.mp4")) as drawn:
        assert len(list(drawn.decode(video=0))) == 12
    return [frame["seconds"] for frame in json.loads((tmp_path / "points.json").read_text())["frames"]]


def test_frames_without_a_time_are_counted_by_the_rate(tmp_path):
    with av.open(str(tmp_path / "bare.mp4"), "w", format="h264") as out:  # bare H.264, as recorders write it
        stream = out.add_stream("libx264", rate=25, options={"bf": "2"})
        stream.height, stream.width, stream.pix_fmt = 120, 320, "yuv420p"
        for frame in MOVING:
            colours = np.repeat(np.pad(frame, ((0, 0), (0, 1)))[..., None], 3, axis=2)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(colours, "rgb24")))
        out.mux(stream.encode())
    seconds = seconds_of(tmp_path / "bare.mp4", tmp_path)
    assert np.diff(seconds) == pytest.approx(1 / 25, abs=1e-3)


def test_frames_that_share_a_time_are_counted_by_the_rate(clip, tmp_path):
    with av.open(str(clip)) as source, av.open(str(tmp_path / "double.mkv"), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.dts is not None]
        for number, packet in enumerate(sorted(packets, key=lambda packet: packet.pts)):
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = number // 2 * 200
            out.mux(packet)
    assert (np.diff(seconds_of(tmp_path / "double.mkv", tmp_path)) > 0).all()


def test_a_cover_picture_is_not_the_clip(clip, tmp_path):
    with av.open(str(clip)) as source, av.open(str(tmp_path / "cover.mp4"), "w") as out:
        cover = out.add_stream("mjpeg", rate=1)
        cover.height, cover.width, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        stream = out.add_stream_from_template(source.streams.video[0])
        out.mux(cover.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")))
        out.mux(cover.encode())
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    assert len(seconds_of(tmp_path / "cover.mp4", tmp_path)) == 12


def test_two_frames_at_one_time_do_not_divide_by_zero(tmp_path):
    tracker = Tracker(Predictor(DISC_INFO, disc_network, FakeDetector((60, 60))))
    for seconds in (0.0, 0.1, 0.1, 0.1):
        (face,) = tracker.update(MOVING[0], seconds)
        assert np.isfinite(face.points).all()
