"""Everything that the demo page asks the server to compute.

The page holds the photographs and their corrected faces; the service keeps only the networks that it has loaded.
Boxes and points travel in pixels of the upright photograph, as the page shows it. Saved files use pixels as stored.
"""

import io
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath

import numpy as np

from kp_tf.apps.demo import labels
from kp_tf.apps.demo.messages import checked, face_to_stored, file_name, load_json, orientation_of, parsing, read_face
from kp_tf.core.errors import KpError
from kp_tf.core.images import open_photograph
from kp_tf.core.keypoints import Scheme
from kp_tf.data.names import check_name
from kp_tf.predict import writers
from kp_tf.predict.detectors import DEFAULT
from kp_tf.predict.drawing import point_colours
from kp_tf.predict.predictor import Predictor


class DemoService:
    """Answers the requests of the page, one at a time.

    Attributes:
        networks: the names of the networks that the page can choose from.
    """

    def __init__(self, sources: Mapping[str, str], detector: str = DEFAULT) -> None:
        """Load the first network, so that a wrong path is reported before the page opens.

        Args:
            sources: for each network the name that the page shows and what `Predictor.load` takes.
            detector: see `detectors.find_detector`.

        Raises:
            KpError: if the first network cannot be loaded.
        """
        self.networks = list(sources)
        self._sources, self._detector = sources, detector
        self._predictors: dict[str, Predictor] = {}
        self._lock = threading.Lock()
        self._predictor(None)

    def predict(self, content: bytes, name: str, network: str | None = None, boxes: str | None = None) -> dict:
        """Predict the points of the faces in a photograph.

        Args:
            content: the bytes of the image file.
            name: the name of the file, for error messages.
            network: one of `networks`; None takes the first.
            boxes: JSON of (N, 4) left, top, width, height; None detects the faces.

        Returns:
            The width, height and EXIF orientation of the upright photograph, its faces, and the names, groups and
            colours of the points.

        Raises:
            KpError: if the photograph, the network or a box cannot be used.
        """
        with parsing():
            upright = None if boxes is None else checked(np.array(load_json(boxes), np.float64).reshape(-1, 4))
        with self._lock:
            predictor, photograph = self._predictor(network), open_photograph(name, content)
            orientation = photograph.orientation
            stored = None if upright is None else orientation.boxes_to_stored(upright)
            faces = predictor.predict(photograph, stored)
        width, height = photograph.upright.size
        return {
            "width": width,
            "height": height,
            "orientation": photograph.orientation_tag,
            "faces": [writers.face_to_json(face.upright) for face in faces],
            "names": predictor.scheme.names,
            "groups": {group: list(indices) for group, indices in predictor.scheme.groups},
            "colours": point_colours(predictor.scheme),
        }

    def preview(self, content: bytes, name: str) -> bytes:
        """Convert a photograph that the browser cannot show to an upright JPEG.

        Raises:
            KpError: if the photograph cannot be read.
        """
        with self._lock:
            return upright_jpeg(content, name)

    def read_labels(self, content: bytes, path: str) -> dict:
        """Take dlib's XML apart, as `labels.read_labels`."""
        return labels.read_labels(content, path)

    def to_upright(self, content: bytes, network: str | None = None) -> list[dict]:
        """Convert labelled faces from pixels as stored to pixels of the upright photograph.

        Args:
            content: JSON of one photograph: width, height and orientation as `predict` returns them, and faces.
            network: the one whose points the faces have; None takes the first.

        Raises:
            KpError: if the JSON is not of this form, or the network cannot be used.
        """
        with self._lock:
            scheme = self._predictor(network).scheme
        with parsing():
            photograph = load_json(content)
            orientation = orientation_of(photograph)
            faces = [replace(read_face(face, scheme), orientation=orientation) for face in photograph["faces"]]
        return [writers.face_to_json(face.upright) for face in faces]

    def save(self, content: bytes) -> str:
        """Write the faces of the page in one of the formats of `kp_tf predict`.

        Args:
            content: JSON of the format ("json", "pts" or "xml"), the network, and the photographs, each with file,
                width, height, orientation and faces. The format "pts" takes a single face. The format "xml" also
                takes the labels that were opened, as `labels.write_labels`, and for each face its source in them.

        Returns:
            The text of the file, in pixels as stored.

        Raises:
            KpError: if the JSON is not of this form, or the format cannot express the faces.
        """
        with parsing():
            request = load_json(content)
            file_format, network = str(request["format"]), str(request["network"])
        with self._lock:
            predictor = self._predictor(network)
        scheme = predictor.scheme
        with parsing():
            photographs = [_result(item, scheme) for item in request["photographs"]]
            match file_format:
                case "json":
                    return writers.as_json(photographs, scheme, network)
                case "pts":
                    ((face,),) = (photograph.faces for photograph in photographs)
                    return writers.as_pts(face)
                case "xml":
                    return _xml(request, photographs)
        raise KpError(f"unknown format {file_format!r}: choose json, pts or xml")

    def _predictor(self, name: str | None) -> Predictor:
        name = name or self.networks[0]
        if name not in self._sources:
            raise KpError(f"unknown network {name!r}: choose one of {', '.join(self.networks)}")
        if name not in self._predictors:
            self._predictors[name] = Predictor.load(self._sources[name], self._detector)
        return self._predictors[name]


def upright_jpeg(content: bytes, name: str) -> bytes:
    """A photograph as an upright JPEG. Raises KpError if it cannot be read."""
    jpeg = io.BytesIO()
    open_photograph(name, content).upright.save(jpeg, "JPEG", quality=92)
    return jpeg.getvalue()


def _result(photograph: dict, scheme: Scheme) -> writers.Result:
    """Read a photograph, and convert its faces to pixels as stored."""
    orientation = orientation_of(photograph)
    faces = [face_to_stored(read_face(face, scheme), orientation) for face in photograph["faces"]]
    return writers.Result(file_name(photograph), orientation, faces)


def _xml(request: dict, photographs: list[writers.Result]) -> str:
    for result in photographs:
        check_name(result.file)
        if PurePath(result.file).is_absolute() or ".." in PurePath(result.file).parts:
            raise KpError(f"cannot save {result.file} in points.xml: it is not in the folder that was opened")
    sourced = [
        (
            result.file,
            [
                labels.SourcedFace(face, item.get("source"))
                for face, item in zip(result.faces, photograph["faces"], strict=True)
            ],
        )
        for result, photograph in zip(photographs, request["photographs"], strict=True)
    ]
    text = labels.write_labels(request.get("opened") or labels.NEW_FILE, sourced)
    text.encode()  # a ValueError where half a surrogate pair could not be written
    return text
