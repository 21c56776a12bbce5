"""Points that a network proposes on the photographs of a project."""

import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from kp_tf.apps.demo.finding import find_object
from kp_tf.apps.demo.project import RUNS, Project
from kp_tf.artifacts.info import ModelInfo
from kp_tf.artifacts.runs import hardly_better
from kp_tf.backends import load_network
from kp_tf.backends.network import Network
from kp_tf.core.errors import KpError
from kp_tf.core.face import Face
from kp_tf.core.files import read_json
from kp_tf.core.images import Photograph, open_photograph
from kp_tf.core.keypoints import IBUG68
from kp_tf.predict.confidence import confidence_of
from kp_tf.predict.detectors import DEFAULT, find_detector
from kp_tf.predict.predictor import Predictor
from kp_tf.predict.search import NETWORK

INCLUDED = "compact"


class Key(NamedTuple):
    """A network that can be loaded: its source, as `load_network` takes it, and when it was written."""

    source: str
    written: float = 0


class Loaded(NamedTuple):
    """A network and its predictor."""

    info: ModelInfo
    network: Network
    predictor: Predictor


class Proposals:
    """The newest network of a project; where there is none, the one for faces that comes with kp_tf if it fits."""

    def __init__(self, detector: str = DEFAULT) -> None:
        """Propose with this detector, where faces are detected; nothing is loaded yet."""
        self._detector = detector
        self._loaded: tuple[Key, Loaded] | None = None
        self._lock = threading.Lock()

    def runs(self, project: Project) -> list[str]:
        """The names of the project's networks, the newest first."""
        runs = sorted((run for run in project.folder.joinpath(RUNS).glob("*") if run.name.isdecimal()), reverse=True)
        return [run.name for run in runs if (run / "metrics.json").is_file() and (run / "model.keras").is_file()]

    def networks(self, project: Project) -> dict:
        """What the page says of the project's networks.

        Returns:
            Their names, the newest first (runs). If the newest is hardly better than the mean shape, its error on the
            validation photographs, that of the mean shape, and their unit (hardly_better); otherwise null.

        Raises:
            KpError: if its scores cannot be read.
        """
        runs = self.runs(project)
        report = read_json(project.folder / RUNS / runs[0] / "metrics.json") if runs else {}
        if not runs or not hardly_better(report):
            return {"runs": runs, "hardly_better": None}
        has_size = "val_nme" in report
        errors = ("val_nme", "mean_shape_nme") if has_size else ("val_mean_error_px", "mean_shape_error_px")
        error, mean_shape = ((100 if has_size else 1) * report[name] for name in errors)
        unit = "% of the size" if has_size else "pixels"
        return {"runs": runs, "hardly_better": {"error": error, "mean_shape": mean_shape, "unit": unit}}

    def own(self, project: Project) -> tuple[str, Key] | None:
        """The newest network of the project and what the page calls it; None if there is none."""
        for name in self.runs(project):
            run = project.folder / RUNS / name
            return name, Key(str(run), (run / "model.keras").stat().st_mtime)  # it may be trained on
        return None

    def load(self, key: Key) -> Loaded:
        """Load a network, or take the one that was loaded last. Raises KpError if it cannot be used."""
        with self._lock:
            if self._loaded is None or self._loaded[0] != key:
                info, network = load_network(key.source)
                self._loaded = key, Loaded(info, network, Predictor(info, network, self._detector))
            return self._loaded[1]

    def current(self, project: Project) -> tuple[str, Loaded] | None:
        """The network that proposes the project's points, and what the page calls it; None if there is none for them.

        Raises:
            KpError: if it cannot be used.
        """
        own = self.own(project)
        if project.scheme is None or not (own or project.scheme.names == IBUG68.names):
            return None
        name, key = own or (INCLUDED, Key(INCLUDED))
        loaded = self.load(key)
        # one that was trained before the points were changed
        return (name, loaded) if loaded.info.scheme.names == project.scheme.names else None

    def detects_faces(self, info: ModelInfo) -> bool:
        """Whether a network's objects are found by the detector: those of the 68 points, as in an exported page."""
        return info.scheme.names == IBUG68.names and self._detector != NETWORK

    def detect(self, picture: Image.Image) -> np.ndarray:
        """The boxes of the faces in an upright RGB picture, see `detectors.Detector`; KpError as that has it."""
        return find_detector(self._detector)(picture)

    def faces(self, project: Project, path: Path, box: np.ndarray | None) -> tuple[str, list[Face]]:
        """Propose faces.

        Args:
            project: whose newest network is asked.
            path: of the photograph.
            box: (4,) where the object is likely to be, in pixels of the upright photograph. A network of the project
                begins there, see `find_object`, and without a box has nothing to propose. Networks of the 68 points
                begin with the faces that are detected.

        Returns:
            The name of the network, empty if there is none, and the faces in pixels of the upright photograph.

        Raises:
            KpError: if the network, the photograph or the box cannot be used.
        """
        current = self.current(project)
        if current is None:
            return "", []
        name, (info, network, predictor) = current
        opened = open_photograph(path)
        upright = Photograph(opened.name, opened.upright)
        try:
            faces = predictor.predict(upright) if self.detects_faces(info) else []
            if not faces and name != INCLUDED and box is not None:
                found, outputs = find_object(network, info, upright.upright.convert("L"), box)
                confidence = confidence_of(outputs[:, 2], info.calibration)
                faces = [Face(found, outputs[:, :2], confidence, info.scheme)]
            return name, faces
        except KpError as error:
            raise KpError(f"no points proposed: {error}") from None
