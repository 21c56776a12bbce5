"""Clips: the landmarks of all frames as JSON or CSV, and the clip with the faces drawn in. Needs PyAV, an extra."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

from kp_tf.core.errors import KpError
from kp_tf.core.face import Face
from kp_tf.core.files import replacing, write_text
from kp_tf.core.orientation import Orientation
from kp_tf.predict import clip_writers
from kp_tf.predict.drawing import draw_faces
from kp_tf.predict.frames import ClipFrame, read_frames
from kp_tf.predict.predictor import Predictor
from kp_tf.predict.tracking import Tracker

if TYPE_CHECKING:
    from av.container import OutputContainer

INSTALL = "pip install av"
TIME_BASE = Fraction(1, 90_000)  # seconds, of the clip that is written


def predict_clip(
    predictor: Predictor, path: Path, points: Path, faces: Path, drawn: Path, upright: bool = False
) -> tuple[int, int]:
    """Track the faces through a clip.

    Args:
        predictor: the network and detector.
        path: the clip; its first video stream is used.
        points: the `.json` or `.csv` to write, see `clip_writers`.
        faces: the `.csv` of the faces to write, if `points` is one.
        drawn: the `.mp4` to write (H.264, upright, in the size of the first frame, without sound).
        upright: write pixels of the upright frames, not as stored.

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
        with replacing(drawn) as temporary, av.open(str(temporary), "w") as out:
            writer = _Writer(out)
            for frame in read_frames(path):
                found = tracker.update(frame.photograph, frame.seconds)
                frames.append(_result(frame, found, upright))
                writer.add(draw_faces(frame.photograph, found), frame.seconds, frame.rate)
            writer.finish()
    except FFmpegError as error:
        raise KpError(f"cannot write {drawn}: {error.strerror}") from None
    if points.suffix == ".csv":
        text = clip_writers.as_csv(frames, predictor.scheme)
        write_text(faces, clip_writers.as_faces_csv(frames))
    else:
        text = clip_writers.as_json(str(path), frames, predictor.scheme, predictor.info.name)
    write_text(points, text)
    return len(frames), len({face.number for frame in frames for face in frame.faces})


def _result(frame: ClipFrame, faces: Sequence[Face], upright: bool) -> clip_writers.FrameResult:
    if not upright:
        return clip_writers.FrameResult(frame.seconds, frame.photograph.orientation, faces)
    size = Orientation(frame.photograph.upright.size)
    return clip_writers.FrameResult(frame.seconds, size, [face.upright for face in faces])


class _Writer:
    """Writes pictures as H.264, at the times of the source and in the size of the first picture."""

    def __init__(self, out: "OutputContainer") -> None:
        self._out = out
        self._stream = None
        self._first_size, self._last = (0, 0), -1

    def add(self, picture: Image.Image, seconds: float, rate: Fraction) -> None:
        import av

        if self._stream is None:
            self._stream = self._out.add_stream("libx264", rate=rate, options={"crf": "20"})
            # this pixel format needs an even width and height
            self._stream.width, self._stream.height = (side - side % 2 for side in picture.size)
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.time_base = TIME_BASE
            self._first_size = picture.size
        elif picture.size != self._first_size:  # a clip may change its resolution
            picture = ImageOps.pad(picture, self._first_size)
        frame = av.VideoFrame.from_image(picture.crop((0, 0, self._stream.width, self._stream.height)))
        self._last = max(round(seconds / TIME_BASE), self._last + 1)  # the encoder refuses equal times
        frame.pts, frame.time_base = self._last, TIME_BASE
        self._out.mux(self._stream.encode(frame))

    def finish(self) -> None:
        if self._stream is not None:
            self._out.mux(self._stream.encode())
