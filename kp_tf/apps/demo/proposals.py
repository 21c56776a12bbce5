"""Points that a network proposes on the photographs of a project."""

from pathlib import Path

import numpy as np

from kp_tf.apps.demo.project import RUNS, Project
from kp_tf.core.errors import KpError
from kp_tf.core.face import Face
from kp_tf.core.images import open_photograph
from kp_tf.core.keypoints import IBUG68
from kp_tf.predict.detectors import DEFAULT
from kp_tf.predict.predictor import Predictor


class Proposals:
    """The newest network of a project; where there is none, the one for faces that comes with kp_tf if it fits."""

    def __init__(self, detector: str = DEFAULT) -> None:
        """Propose with this detector, where faces are detected; nothing is loaded yet."""
        self._detector = detector
        self._loaded: tuple[str, Predictor] | None = None

    def runs(self, project: Project) -> list[str]:
        """The names of the project's networks, the newest first."""
        runs = sorted((run for run in project.folder.joinpath(RUNS).glob("*") if run.name.isdecimal()), reverse=True)
        return [run.name for run in runs if (run / "metrics.json").is_file() and (run / "model.keras").is_file()]

    def network(self, project: Project) -> tuple[str, str] | None:
        """A network that has the project's points: what the page calls it, and its source; None if there is none."""
        for name in self.runs(project):
            return name, str(project.folder / RUNS / name)
        fits = project.scheme is not None and project.scheme.names == IBUG68.names
        return ("compact", "compact") if fits else None

    def faces(self, project: Project, path: Path, boxes: np.ndarray | None) -> tuple[str, list[Face]]:
        """Propose faces.

        Args:
            project: whose newest network is asked.
            path: of the photograph.
            boxes: (N, 4) in pixels of the upright photograph. None detects faces with the network for faces, and
                nothing with others.

        Returns:
            The name of the network, empty if there is none, and the faces.

        Raises:
            KpError: if the network, the photograph or a box cannot be used.
        """
        found = self.network(project)
        if found is None or (boxes is None and found[0] != "compact"):
            return (found[0] if found else ""), []
        name, source = found
        key = f"{source} {_age(source)}"
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = key, Predictor.load(source, self._detector)
        predictor, photograph = self._loaded[1], open_photograph(path)
        if project.scheme and predictor.scheme.names != project.scheme.names:
            return "", []  # trained before the points were changed
        stored = None if boxes is None else photograph.orientation.boxes_to_stored(boxes)
        try:
            return name, predictor.predict(photograph, stored)
        except KpError as error:
            raise KpError(f"no points proposed: {error}") from None


def _age(source: str) -> float:
    """When a run was written, which may have been trained on; 0 of the networks that come with kp_tf."""
    model = Path(source, "model.keras")
    return model.stat().st_mtime if model.is_file() else 0
