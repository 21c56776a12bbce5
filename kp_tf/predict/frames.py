"""The frames of a clip, upright and with rising times. Needs PyAV, an extra."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from kp_tf.core.errors import KpError
from kp_tf.core.images import Photograph
from kp_tf.core.orientation import TURNS
from kp_tf.predict.tracking import DEFAULT_RATE, rising_time

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# by the display matrix (a, b, c, d): a stored pixel (x, y) is shown at (ax + cy, bx + dy)
_ORIENTATION_TAGS = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"  # of Matroska and WebM, RFC 9559


@dataclass(frozen=True)
class ClipFrame:
    """A frame.

    Attributes:
        photograph: the upright picture, and how it is stored.
        seconds: its time.
        rate: of the clip, in frames a second.
    """

    photograph: Photograph
    seconds: float
    rate: Fraction


def read_frames(path: Path) -> Iterator[ClipFrame]:
    """The frames of the first video stream that is not a cover picture.

    A time that is missing or does not rise is counted by the rate.

    Raises:
        KpError: if the file is not a clip, is damaged or cut off, has no pictures, or is shown neither upright nor
            turned by quarters nor mirrored.
    """
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as clip:
            if _is_cut_matroska(path):
                raise _damaged(path)
            source = _video_stream(clip, path)
            source.thread_type = "AUTO"
            last, rate = -math.inf, Fraction(source.average_rate or DEFAULT_RATE)
            for frame in _decoded(clip, source, path):
                last = rising_time(frame.time, last, float(1 / rate))
                yield ClipFrame(_photograph(frame, path), last, rate)
    except FFmpegError as error:
        raise KpError(f"cannot read {path} as a clip: {error.strerror}") from None
    if last == -math.inf:
        raise KpError(f"{path}: the video stream has no pictures")


def _video_stream(clip: "InputContainer", path: Path) -> "VideoStream":
    from av.stream import Disposition

    for stream in clip.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    raise KpError(f"{path}: the file has no video stream")


def _decoded(clip: "InputContainer", source: "VideoStream", path: Path) -> "Iterator[VideoFrame]":
    for packet in clip.demux():  # sound as well, because a clip may be cut off in it
        frames = cast("list[VideoFrame]", packet.decode()) if packet.stream.index == source.index else []
        if packet.is_corrupt or any(frame.is_corrupt for frame in frames):
            raise _damaged(path)
        yield from frames


def _damaged(path: Path) -> KpError:
    return KpError(f"{path}: the clip is damaged or cut off")


def _photograph(frame: "VideoFrame", path: Path) -> Photograph:
    tag, image = _orientation_tag(frame, path), frame.to_image()
    transpose = TURNS[tag][3]
    return Photograph(str(path), image if transpose is None else image.transpose(transpose), tag)


def _orientation_tag(frame: "VideoFrame", path: Path) -> int:
    """How a player turns and mirrors the frame, as EXIF's orientation."""
    if (data := frame.side_data.get("DISPLAYMATRIX")) is None:
        return 1
    matrix = np.frombuffer(memoryview(data), np.int32).reshape(3, 3)[:2, :2].astype(np.float64)
    directions = matrix / np.maximum(np.abs(matrix).max(axis=1, keepdims=True), 1)  # it may scale as well
    tag = _ORIENTATION_TAGS.get(tuple(directions.round().astype(int).ravel().tolist()))
    if tag is None or np.abs(directions - directions.round()).max() > 0.02:  # about one degree, as players do
        degrees = round(math.degrees(math.atan2(-matrix[0, 1], matrix[0, 0])))
        raise KpError(f"{path}: frames rotated by {degrees}° are not supported, only quarter turns")
    return tag


def _is_cut_matroska(path: Path) -> bool:
    """Whether a Matroska or WebM file is shorter than its header states, which FFmpeg does not report.

    A recording that was interrupted states no length.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    if not head.startswith(_EBML):
        return False
    place, length = _ebml_number(head, len(_EBML))
    place += length or 0
    if head[place : place + 4] != _SEGMENT:
        return False
    place, length = _ebml_number(head, place + 4)
    return length is not None and place + length > path.stat().st_size


def _ebml_number(content: bytes, place: int) -> tuple[int, int | None]:
    """The place behind a number of variable length, and the number; None if it is unknown."""
    size = 9 - content[place].bit_length() if place < len(content) and content[place] else 8
    largest = (1 << 7 * size) - 1
    number = int.from_bytes(content[place : place + size], "big") & largest
    return place + size, None if number == largest else number
