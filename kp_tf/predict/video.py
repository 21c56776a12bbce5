"""`python -m kp_tf predict` on a clip: points of all frames as JSON, and the clip with them drawn in; an extra."""

import json
from collections.abc import Iterator
from pathlib import Path

from kp_tf.core.errors import KpError
from kp_tf.core.files import replacing
from kp_tf.core.images import Photograph
from kp_tf.predict import writers as results
from kp_tf.predict.predictor import Predictor
from kp_tf.predict.tracking import Tracker

INSTALL = "pip install av"
_TURNS = {0: 1, 90: 8, 180: 3, -180: 3, -90: 6}  # degrees against the clock to EXIF's orientation


def predict_clip(predictor: Predictor, path: Path, points: Path, drawn: Path) -> tuple[int, int]:
    """Follow the faces through a clip.

    Args:
        predictor: at work.
        path: the clip; its first video stream is taken.
        points: the JSON to write: names of the points, then each frame with its seconds and its numbered faces, in
            pixels as stored.
        drawn: the `.mp4` to write (H.264, upright, without sound).

    Returns:
        How many frames there were, and how many different faces.

    Raises:
        KpError: if it is no clip, or a damaged one, or the extra is not installed. Then nothing is written.
    """
    try:
        import av
    except ImportError:
        raise KpError(f"{path}: clips need PyAV: {INSTALL}") from None
    tracker, frames = Tracker(predictor), []
    try:
        with av.open(str(path)) as clip, replacing(drawn) as temporary, av.open(str(temporary), "w") as out:
            if not clip.streams.video:
                raise KpError(f"{path}: expected a clip, found no pictures in it")
            source = clip.streams.video[0]
            source.thread_type = "AUTO"
            target = out.add_stream("libx264", rate=source.average_rate or 30, options={"crf": "20"})
            target.pix_fmt = "yuv420p"
            for seconds, photograph in _photographs(clip, source, path):
                faces = tracker.update(photograph, seconds)
                frames.append({"seconds": round(seconds, 4), "faces": [results.plain(face) for face in faces]})
                picture = results.draw(photograph, faces)
                if len(frames) == 1:
                    # this format has colours for pairs of pixels only
                    target.width, target.height = (side - side % 2 for side in picture.size)
                    target.codec_context.time_base = source.time_base
                frame = av.VideoFrame.from_image(picture.crop((0, 0, target.width, target.height)))
                frame.pts, frame.time_base = round(seconds / source.time_base), source.time_base
                out.mux(target.encode(frame))
            if not frames:
                raise KpError(f"{path}: expected a clip, found no pictures in it")
            out.mux(target.encode())
    except av.FFmpegError as error:
        raise KpError(f"{path}: expected a clip, found: {error.strerror}") from None
    numbers = {face["number"] for frame in frames for face in frame["faces"]}
    content = {"network": predictor.run.path.stem, "names": predictor.scheme.names, "file": str(path)}
    results.save_text(json.dumps(content | {"frames": frames}, ensure_ascii=False) + "\n", points)
    return len(frames), len(numbers)


def _photographs(clip: object, source: object, path: Path) -> Iterator[tuple[float, Photograph]]:
    """Each frame upright, with its seconds."""
    for packet in clip.demux():  # of sound too: the end of a clip that was cut off may lie there
        frames = packet.decode() if packet.stream.index == source.index else []
        if packet.is_corrupt or any(frame.is_corrupt for frame in frames):
            raise KpError(f"{path}: expected a clip, found one that is damaged or cut off")
        for frame in frames:
            turn = round(frame.rotation)
            if turn not in _TURNS:
                raise KpError(f"{path}: expected frames turned by quarters, found {turn}°")
            image = frame.to_image()
            upright = image.rotate(turn, expand=True) if turn else image
            yield float(frame.time), Photograph(str(path), upright, _TURNS[turn])
