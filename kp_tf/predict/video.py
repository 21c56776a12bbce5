"""Clips: the landmarks of all frames as JSON, and the clip with the faces drawn in. Needs PyAV, an extra."""

import json
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

from kp_tf.core.errors import KpError
from kp_tf.core.files import replacing, write_text
from kp_tf.core.images import Photograph
from kp_tf.predict.drawing import draw_faces
from kp_tf.predict.predictor import Predictor
from kp_tf.predict.tracking import Tracker
from kp_tf.predict.writers import face_to_json

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from PIL import Image

INSTALL = "pip install av"
TIME_BASE = Fraction(1, 90_000)  # seconds, of the clip that is written
DEFAULT_RATE = 30  # frames a second, if the clip does not state it
_ORIENTATION_TAGS = {0: 1, 90: 8, 180: 3, -180: 3, -90: 6}  # by degrees counterclockwise


def predict_clip(predictor: Predictor, path: Path, points: Path, drawn: Path) -> tuple[int, int]:
    """Track the faces through a clip.

    Args:
        predictor: the network and detector.
        path: the clip; its first video stream is used.
        points: the JSON to write: the names of the points, then each frame with its time in seconds and its numbered
            faces, in pixels as stored.
        drawn: the `.mp4` to write (H.264, upright, without sound).

    Returns:
        The number of frames, and of different faces.

    Raises:
        KpError: if the file is not a clip or is damaged, or PyAV is not installed. Then nothing is written.
    """
    try:
        import av
        from av.error import FFmpegError
    except ImportError:
        raise KpError(f"{path}: clips need PyAV ({INSTALL})") from None
    tracker, frames = Tracker(predictor), []
    try:
        with av.open(str(path)) as clip, replacing(drawn) as temporary, av.open(str(temporary), "w") as out:
            source = _video_stream(clip, path)
            source.thread_type = "AUTO"
            writer = _Writer(out, source)
            for seconds, photograph in _photographs(clip, source, path):
                faces = tracker.update(photograph, seconds)
                frames.append({"seconds": round(seconds, 4), "faces": [face_to_json(face) for face in faces]})
                writer.add(draw_faces(photograph, faces), seconds)
            if not frames:
                raise KpError(f"{path}: the video stream has no pictures")
            writer.finish()
    except FFmpegError as error:
        raise KpError(f"cannot read {path} as a clip: {error.strerror}") from None
    numbers = {face["number"] for frame in frames for face in frame["faces"]}
    content = {"network": predictor.info.name, "names": predictor.scheme.names, "file": str(path)}
    write_text(points, json.dumps(content | {"frames": frames}, ensure_ascii=False) + "\n")
    return len(frames), len(numbers)


def _video_stream(clip: "InputContainer", path: Path) -> "VideoStream":
    """The first video stream that is not a cover picture."""
    from av.stream import Disposition

    for stream in clip.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    raise KpError(f"{path}: the file has no video stream")


class _Writer:
    """Writes pictures as H.264, at the times of the source."""

    def __init__(self, out: "OutputContainer", source: "VideoStream") -> None:
        self._out, self._time_base = out, TIME_BASE
        self._stream = out.add_stream("libx264", rate=source.average_rate or DEFAULT_RATE, options={"crf": "20"})
        self._stream.pix_fmt = "yuv420p"
        self._size: tuple[int, int] | None = None

    def add(self, picture: "Image.Image", seconds: float) -> None:
        import av

        if self._size is None:
            # this pixel format needs an even width and height
            width, height = (side - side % 2 for side in picture.size)
            self._size = self._stream.width, self._stream.height = width, height
            self._stream.codec_context.time_base = self._time_base
        frame = av.VideoFrame.from_image(picture.crop((0, 0, *self._size)))
        frame.pts, frame.time_base = round(seconds / self._time_base), self._time_base
        self._out.mux(self._stream.encode(frame))

    def finish(self) -> None:
        self._out.mux(self._stream.encode())


def _photographs(clip: "InputContainer", source: "VideoStream", path: Path) -> Iterator[tuple[float, Photograph]]:
    """Each frame upright, with its time in seconds."""
    last, rate = -math.inf, float(source.average_rate or DEFAULT_RATE)
    for packet in clip.demux():  # sound as well, because a clip may be cut off in it
        frames = cast("list[VideoFrame]", packet.decode()) if packet.stream.index == source.index else []
        if packet.is_corrupt or any(frame.is_corrupt for frame in frames):
            raise KpError(f"{path}: the clip is damaged or cut off")
        for frame in frames:
            degrees = round(frame.rotation)
            if degrees not in _ORIENTATION_TAGS:
                raise KpError(f"{path}: frames rotated by {degrees}° are not supported, only quarter turns")
            time = frame.time  # if it is missing or does not rise, it is computed from the rate
            last = time if time is not None and time > last else max(last + 1 / rate, 0.0)
            image = frame.to_image()
            upright = image.rotate(degrees, expand=True) if degrees else image
            yield last, Photograph(str(path), upright, _ORIENTATION_TAGS[degrees])
