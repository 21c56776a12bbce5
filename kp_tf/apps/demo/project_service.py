"""What the page of a project asks the server for. All of a project's state is on disk and here, none in the page alone.

Boxes and points travel in pixels of the upright photograph; points.xml has them in pixels as stored.
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from kp_tf.apps.demo.labels import SourcedFace
from kp_tf.apps.demo.mean_shape import mean_shape
from kp_tf.apps.demo.messages import checked, face_to_stored, load_json, parsing, read_face
from kp_tf.apps.demo.next_to_mark import NextToMark
from kp_tf.apps.demo.project import RUNS, SITE, Project
from kp_tf.apps.demo.proposals import Proposals
from kp_tf.apps.demo.scheme_files import KNOWN_SETS, check_colours, scheme_to_json
from kp_tf.apps.demo.service import upright_jpeg
from kp_tf.apps.demo.trainings import Trainings
from kp_tf.core.errors import KpError
from kp_tf.core.face import Face
from kp_tf.core.images import open_photograph, read_orientation
from kp_tf.core.keypoints import Scheme
from kp_tf.core.orientation import Orientation
from kp_tf.predict import writers

MAX_EPOCHS = 100_000
AWAY = 90  # seconds after which a page that has not been heard of is gone; hidden pages wake once a minute


class OtherPageError(KpError):
    """Another page works on the project."""


class ProjectService:
    """Answers the requests of a project's page. One page at a time may change the project."""

    def __init__(
        self,
        project: Project,
        proposals: Proposals,
        trainings: Trainings | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Serve a project.

        Args:
            project: to serve.
            proposals: points that a network proposes.
            trainings: of the project.
            seconds: a clock.
        """
        self._project, self._proposals, self._seconds = project, proposals, seconds
        self._trainings = trainings or Trainings(project)
        self._page, self._heard = "", 0.0
        self._shape: tuple[object, dict] | None = None
        self._next = NextToMark(proposals)

    def open(self, content: bytes, page: str, take: str = "") -> dict:
        """Let a page work on the project, and say everything about it.

        Args:
            content: not used.
            page: what the page calls itself.
            take: not empty: take the project from another page.

        Raises:
            OtherPageError: if another page works on it.
            KpError: if a file of the project cannot be read.
        """
        if self._page not in ("", page) and self._seconds() - self._heard < AWAY and not take:
            raise OtherPageError("This project is open in another window.")
        self._page, self._heard = page, self._seconds()
        self._project.refresh()
        return self._described()

    def alive(self, content: bytes, page: str) -> dict:
        """Note that a page is still open. Raises OtherPageError if another has taken the project."""
        self._check(page)
        return {}

    def close(self, content: bytes, page: str) -> dict:
        """Note that a page is closed."""
        if page == self._page:
            self._page = ""
        return {}

    def photograph(self, content: bytes, name: str) -> bytes:
        """The file of a photograph, as it is.

        Raises:
            KpError: if there is none, or it cannot be read.
        """
        path = self._project.path(name)
        try:
            return path.read_bytes()
        except OSError as error:
            raise KpError(f"cannot read {name}: {error.strerror}") from None

    def preview(self, content: bytes, name: str) -> bytes:
        """Convert a photograph that the browser cannot show, as `upright_jpeg`."""
        return upright_jpeg(content, name)

    def faces(self, content: bytes, name: str) -> dict:
        """A photograph's size, orientation and labelled faces.

        Raises:
            KpError: if the photograph or its labels cannot be used.
        """
        # every pixel is decoded, as training will: browsers also show files that are truncated
        orientation = open_photograph(self._project.path(name)).orientation
        width, height = orientation.size
        upright = {"width": width, "height": height, "orientation": orientation.tag}
        labelled = self._project.labels.faces(name)
        if self._project.scheme is None:
            return upright | {"faces": []}
        to_face = partial(_labelled_face, scheme=self._project.scheme)
        return upright | {
            "faces": [
                {
                    **writers.face_to_json(to_face(face, orientation=orientation).upright),
                    "source": face["source"],
                    "todo": [name for name in face["todo"] if name in self._project.scheme.names],
                }
                for face in labelled
            ]
        }

    def save(self, content: bytes, page: str) -> dict:
        """Write the faces of a photograph.

        Args:
            content: JSON of its name and faces, each with box, points, source and todo as `faces` returns them, and
                whether there is nothing to mark in it (nothing).
            page: the page that works on the project.

        Returns:
            The state of the photograph, see `LabelsFile.state`.

        Raises:
            OtherPageError: if another page works on the project.
            KpError: if the JSON is not of this form, or points.xml cannot be written.
        """
        self._check(page)
        with parsing():
            request = load_json(content)
            name = str(request["name"])
        scheme, orientation = self._scheme(), read_orientation(self._project.path(name))
        with parsing():
            faces = [_sourced(face, scheme, orientation) for face in request["faces"]]
        self._project.labels.replace(name, faces, bool(request.get("nothing")))
        return {"state": self._project.labels.state(name)}

    def change_scheme(self, content: bytes, page: str) -> dict:
        """Write the scheme.

        Args:
            content: JSON of scheme, colours and renames, as `Project.change_scheme` takes them.
            page: the page that works on the project.

        Returns:
            As `open`.

        Raises:
            OtherPageError: if another page works on the project.
            KpError: if the JSON is not of this form, or a file cannot be written.
        """
        self._check(page)
        with parsing():
            request = load_json(content)
            scheme, renames = request["scheme"], {str(old): str(new) for old, new in dict(request["renames"]).items()}
            colours = request["colours"]
        self._project.change_scheme(scheme, check_colours(colours, "colours"), renames)
        return self._described()

    def shape(self, content: bytes) -> dict:
        """The mean shape of the finished faces, and where they lie in their photographs; see `mean_shape`.

        Returns:
            Empty if no face is finished. Also the photograph and the number of a face that shows each point (example).
        """
        project = self._project
        key = id(project.labels), project.labels.version
        if project.scheme is None:
            return {}
        if self._shape is None or self._shape[0] != key:
            self._shape = key, mean_shape(project, project.scheme)
        return self._shape[1]

    def propose(self, content: bytes, name: str) -> dict:
        """The points that a network proposes for a photograph.

        Args:
            content: JSON of left, top, width and height of the box where the object is likely to be; null if that is
                not known.
            name: of the photograph.

        Returns:
            The name of the network and the faces; the name is empty if there is no network for these points.

        Raises:
            KpError: if the photograph, the box or the network cannot be used.
        """
        with parsing():
            box = load_json(content)
            upright = None if box is None else checked(np.array(box, np.float64).reshape(4))
        network, faces = self._proposals.faces(self._project, self._project.path(name), upright)
        return {"network": network, "faces": [writers.face_to_json(face) for face in faces]}

    def next_to_mark(self, content: bytes) -> dict:
        """The orders of the photographs to mark, as `NextToMark.order`."""
        return self._next.order(self._project, self.shape(b""))

    def add(self, content: bytes, page: str, name: str) -> dict:
        """Add a frame to the photographs, as `Project.add_frame`.

        Returns:
            Its name and state, as `open` has them.

        Raises:
            OtherPageError: if another page works on the project.
            KpError: if it cannot be added.
        """
        self._check(page)
        photograph = self._project.add_frame(name, content)
        return self._photograph(photograph, "")

    def train(self, content: bytes, page: str) -> dict:
        """Start a training, or continue the latest one.

        Args:
            content: JSON of epochs, init ("compact", a run of the project, or empty for none) and whether to go on.
            page: the page that works on the project.

        Returns:
            As `training`.

        Raises:
            OtherPageError: if another page works on the project.
            KpError: if the JSON is not of this form, or no training can be started.
        """
        self._check(page)
        with parsing():
            request = load_json(content)
            epochs, init, go_on = int(request["epochs"]), str(request.get("init") or ""), bool(request.get("go_on"))
            if not 1 <= epochs <= MAX_EPOCHS or init not in ("", "compact", *self._proposals.runs(self._project)):
                raise ValueError(f"{epochs} epochs from {init}")
        if go_on:
            self._trainings.go_on(epochs)
        else:
            self._trainings.start(f"{RUNS}/{init}" if init.isdecimal() else init or None, epochs)
        return self.training(b"")

    def stop(self, content: bytes, page: str) -> dict:
        """Ask the training to stop and keep its results. Raises OtherPageError if another page works on the project."""
        self._check(page)
        self._trainings.stop()
        return self.training(b"")

    def training(self, content: bytes) -> dict:
        """How the latest training is, as `Trainings.status`, and the networks so far, as `Proposals.networks`."""
        return self._trainings.status() | self._proposals.networks(self._project)

    def _check(self, page: str) -> None:
        if page != self._page:
            raise OtherPageError("This project has been opened in another window, which goes on with it.")
        self._heard = self._seconds()

    def _scheme(self) -> Scheme:
        if self._project.scheme is None:
            raise KpError("the project has no points yet; name them first")
        return self._project.scheme

    def _described(self) -> dict:
        project = self._project
        return {
            "folder": project.folder.name,
            "scheme": scheme_to_json(project.scheme, project.colours) if project.scheme else None,
            "photographs": [self._photograph(name, problem) for name, problem in project.photographs.items()],
            "sets": {title: scheme_to_json(scheme, {}) for title, scheme in KNOWN_SETS.items()},
            "site": str(site) if (site := project.folder / SITE).is_dir() else "",
        }

    def _photograph(self, name: str, problem: str) -> dict:
        return {"name": name, "problem": problem, "state": "problem" if problem else self._project.labels.state(name)}


def _labelled_face(face: dict, scheme: Scheme, orientation: Orientation) -> Face:
    points = np.array([face["points"].get(name, (np.nan, np.nan)) for name in scheme.names], np.float64)
    return Face(
        np.array(face["box"], np.float64), points, np.full(len(scheme), np.nan), scheme, orientation=orientation
    )


def _sourced(face: dict, scheme: Scheme, orientation: Orientation) -> SourcedFace:
    source, todo = face.get("source"), [str(name) for name in face["todo"]]
    if not (source is None or isinstance(source, int)) or set(todo) - set(scheme.names):
        raise ValueError(f"source {source} and points to mark {todo}")
    return SourcedFace(face_to_stored(read_face(face, scheme), orientation), source, todo)
