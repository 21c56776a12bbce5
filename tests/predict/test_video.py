import csv
import json
import struct
import sys
from fractions import Fraction

import numpy as np
import pytest
from helpers import DISC_INFO, FakeDetector, disc_network, draw_discs

from kp_tf.cli import exit_status
from kp_tf.core.errors import KpError
from kp_tf.predict.command import predict
from kp_tf.predict.predictor import Predictor
from kp_tf.predict.video import predict_clip

av = pytest.importorskip("av", reason="the extra video is not installed")

MOVING = [draw_discs((60 + 4 * k, 60))[:, :319] for k in range(12)]  # of odd width


def write_clip(path, frames, **options):
    """Frames (H, W) or (H, W, 3), ten per second."""
    with av.open(str(path), "w", options=options) as out:
        stream = out.add_stream("libx264rgb", rate=10, options={"crf": "5"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "rgb24"
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
        assert predict_clip(
            predictor, clip, tmp_path / "points.json", tmp_path / "faces.csv", tmp_path / "drawn.mp4"
        ) == (12, 1)
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


# the first two rows of QuickTime's matrices, by EXIF's orientation, and how they store an upright picture
MATRICES = {
    2: ((-1, 0, 0, 1), lambda frame: frame[:, ::-1]),
    3: ((-1, 0, 0, -1), lambda frame: frame[::-1, ::-1]),
    4: ((1, 0, 0, -1), lambda frame: frame[::-1]),
    5: ((0, 1, 1, 0), lambda frame: frame.T),
    6: ((0, 1, -1, 0), lambda frame: np.rot90(frame)),
    7: ((0, -1, -1, 0), lambda frame: frame[::-1, ::-1].T),
    8: ((0, -1, 1, 0), lambda frame: np.rot90(frame, -1)),
}


def set_display_matrix(path, a, b, c, d):
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 44
    numbers = struct.unpack(">9i", content[place : place + 36])
    one = 1 << 16
    content[place : place + 36] = struct.pack(
        ">9i", *(round(n * one) for n in (a, b)), 0, round(c * one), round(d * one), *numbers[5:]
    )
    path.write_bytes(content)


@pytest.mark.parametrize("tag", MATRICES)
def test_a_clip_that_its_metadata_turns_or_mirrors(tag, track, clip, tmp_path):
    matrix, store = MATRICES[tag]
    stored = [store(frame) for frame in MOVING]
    write_clip(clip, stored)
    set_display_matrix(clip, *matrix)
    for pixels, frame in zip(stored, track(), strict=True):
        centre = np.argwhere(pixels).mean(axis=0)[::-1]
        (face,) = frame["faces"]
        assert abs(np.mean(face["points"], axis=0) - centre).max() < 4, "in pixels as stored"
    content = json.loads((tmp_path / "points.json").read_text())
    assert (content["height"], content["width"], content["orientation"]) == (*stored[0].shape, tag)
    with av.open(str(tmp_path / "drawn.mp4")) as drawn:
        shown = next(drawn.decode(video=0))
    assert (shown.width, shown.height, shown.rotation) == (318, 120, 0)
    predictor = Predictor(DISC_INFO, disc_network, FakeDetector((60, 60)))
    predict_clip(
        predictor, clip, tmp_path / "points.json", tmp_path / "faces.csv", tmp_path / "drawn.mp4", upright=True
    )
    content = json.loads((tmp_path / "points.json").read_text())
    assert (content["width"], content["height"], content["orientation"]) == (319, 120, 1)
    assert abs(np.mean(content["frames"][11]["faces"][0]["points"], axis=0) - (104, 60)).max() < 4
    brightness = shown.to_ndarray(format="gray")[20:100, 20:100]
    assert np.abs(np.argwhere(brightness > 100).mean(axis=0) - 40).max() < 4, "the face is at (60, 60) and upright"


def test_a_clip_that_is_turned_by_less_than_a_quarter_is_refused(track, clip):
    set_display_matrix(clip, 0.7071, 0.7071, -0.7071, 0.7071)
    with pytest.raises(KpError, match=r"frames rotated by -45° are not supported, only quarter turns"):
        track()


def test_a_clip_whose_frames_grow_keeps_its_face(tmp_path):
    large = [np.kron(frame, np.ones((2, 2), np.uint8)) for frame in MOVING[6:]]
    parts = []
    for frames in (MOVING[:6], large):
        write_clip(tmp_path / "part.h264", frames)
        parts.append((tmp_path / "part.h264").read_bytes())
    (tmp_path / "grows.mp4").write_bytes(b"".join(parts))
    frames = json_of(tmp_path / "grows.mp4", tmp_path)["frames"]
    assert [frame.get("width") for frame in frames] == [None] * 6 + [638] * 6
    for k, frame in enumerate(frames):
        (face,) = frame["faces"]
        scale = 1 if k < 6 else 2
        assert face["number"] == 1
        assert abs(np.mean(face["points"], axis=0) / scale - (60 + 4 * k, 60)).max() < 4
    with av.open(str(tmp_path / "drawn.mp4")) as drawn:
        pictures = list(drawn.decode(video=0))
    assert {(picture.width, picture.height) for picture in pictures} == {(318, 120)}
    brightness = pictures[11].to_ndarray(format="gray")[20:100, 64:144]
    assert np.abs(np.argwhere(brightness > 100).mean(axis=0) - 40).max() < 4, "the large frame is shown whole"


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


def cut_matroska(path):
    write_clip(path.with_suffix(".mkv"), MOVING)
    path.write_bytes(path.with_suffix(".mkv").read_bytes()[:-300])


UNREADABLE = "cannot read {} as a clip: "
BAD = {
    "a text": (lambda path: path.write_text("This is no clip.\n" * 99), [UNREADABLE]),
    "an empty file": (lambda path: path.write_bytes(b""), [UNREADABLE]),
    "sound alone": (write_sound, ["{}: the file has no video stream"]),
    "cut off": (cut, [UNREADABLE, "{}: the video stream has no pictures"]),  # it depends on FFmpeg's version
    "cut off behind its index": (cut_behind_its_index, ["{}: the clip is damaged or cut off"]),
    "Matroska, cut off in its only cluster": (cut_matroska, ["{}: the clip is damaged or cut off"]),
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
    assert not (tmp_path / "out").exists()


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


def bright_faces(picture):
    """The box of the only disc."""
    left, top, right, bottom = picture.convert("L").point(lambda value: 255 * (value > 100)).getbbox()
    return np.array([(left, top, right - left, bottom - top)], float)


def json_of(path, tmp_path):
    """What is written of a clip of twelve frames."""
    predictor = Predictor(DISC_INFO, disc_network, bright_faces)
    assert predict_clip(predictor, path, tmp_path / "points.json", tmp_path / "faces.csv", tmp_path / "drawn.mp4") == (
        12,
        1,
    )
    with av.open(str(tmp_path / "drawn.mp4")) as drawn:
        assert len(list(drawn.decode(video=0))) == 12
    return json.loads((tmp_path / "points.json").read_text())


def seconds_of(path, tmp_path):
    return [frame["seconds"] for frame in json_of(path, tmp_path)["frames"]]


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


def test_the_points_of_a_clip_as_csv(clip, tmp_path):
    predictor = Predictor(DISC_INFO, disc_network, bright_faces)
    predict_clip(predictor, clip, tmp_path / "points.csv", tmp_path / "faces.csv", tmp_path / "drawn.mp4")
    with (tmp_path / "points.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12 * 68
    points = np.array([[float(row["x"]), float(row["y"])] for row in rows]).reshape(12, 68, 2)
    assert abs(points.mean(axis=1) - [(60 + 4 * k, 60) for k in range(12)]).max() < 4
    last = rows[-1]
    assert (last["frame"], last["seconds"], last["face"], last["point"]) == ("11", "1.1000", "1", "67")
    assert last["confidence"] == "", "the network is not calibrated"
    with (tmp_path / "faces.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["frame"], row["seconds"], row["face"]) for row in rows[1:3]] == [
        ("1", "0.1000", "1"),
        ("2", "0.2000", "1"),
    ]
    assert len(rows) == 12
    assert -180 <= float(rows[0]["yaw"]) <= 180


def test_csv_of_clips_whose_names_would_be_the_same(tmp_path, drawn_face):
    image, box = drawn_face
    for name in ("a.mp4", "a-faces.mp4"):
        write_clip(tmp_path / name, [np.asarray(image)] * 2)
    predict([str(tmp_path)], out=tmp_path / "out", format="csv", detector=lambda picture: np.array([box]))
    names = sorted(path.name for path in (tmp_path / "out").glob("*.csv"))
    assert names == ["a-2-faces.csv", "a-2.csv", "a-faces-faces.csv", "a-faces.csv"]


def test_times_closer_than_those_of_the_drawn_clip(clip, tmp_path):
    with av.open(str(clip)) as source, av.open(str(tmp_path / "close.nut"), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        stream.time_base = Fraction(1, 1_000_000)
        packets = [packet for packet in source.demux(video=0) if packet.dts is not None]
        for number, packet in enumerate(sorted(packets, key=lambda packet: packet.pts)):
            packet.stream, packet.time_base = stream, Fraction(1, 1_000_000)
            packet.pts = packet.dts = number
            out.mux(packet)
    assert len(seconds_of(tmp_path / "close.nut", tmp_path)) == 12


def test_several_clips_and_photographs_at_once(clip, tmp_path, drawn_face, capsys):
    image, box = drawn_face
    folder, out = tmp_path / "all", tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    image.save(folder / "a.png")
    for name in ("a.mp4", "points.mp4", "sub/a.mkv"):
        write_clip(folder / name, [np.asarray(image)] * 2)
    (folder / "bad.mp4").write_text("no clip")
    options = {"photographs": [str(folder)], "out": out, "detector": lambda picture: np.array([box])}
    assert exit_status("kp_tf.predict.command:predict", **options) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: cannot read {folder / 'bad.mp4'} as a clip: ")
    assert sorted(path.name for path in (out / "drawn").iterdir()) == ["a-2.mp4", "a.jpg", "a.mp4", "points-2.mp4"]
    assert sorted(path.name for path in out.glob("*.json")) == ["a-2.json", "a.json", "points-2.json", "points.json"]
    assert len(json.loads((out / "a-2.json").read_text())["frames"]) == 2
    assert "photographs" in json.loads((out / "points.json").read_text())
