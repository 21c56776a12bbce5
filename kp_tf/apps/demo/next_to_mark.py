"""What to mark next: a project's newest network looks at the photographs in the background while others are marked."""

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kp_tf.apps.demo.doubt import expected_errors, look_of, most_useful_first
from kp_tf.apps.demo.finding import box_around, find_object, network_outputs, usual_box
from kp_tf.apps.demo.project import Project
from kp_tf.apps.demo.proposals import Key, Loaded, Proposals
from kp_tf.core.errors import KpError
from kp_tf.core.images import open_photograph

OPEN, DONE = ("new", "begun"), "done"  # states of photographs
NOTHING = {"network": "", "mixed": [], "unsure": [], "of": 0}


@dataclass(frozen=True)
class View:
    """What was made of a photograph.

    Attributes:
        doubt: how unsure the network is, from `expected_errors`; None of a photograph that is marked.
        look: (D,) from `look_of`; None if the photograph cannot be read.
    """

    doubt: float | None
    look: np.ndarray | None


@dataclass
class _Round:
    """What one network has seen so far; a newer network has a round of its own.

    Attributes:
        key: tells the network from others.
        names: of the project's points.
        views: by photograph.
        thread: that looks at photographs.
        fits: the network has the project's points and can be loaded.
    """

    key: Key
    names: tuple[str, ...]
    views: dict[str, View] = field(default_factory=dict)
    thread: threading.Thread | None = None
    fits: bool = True


class NextToMark:
    """Puts the photographs of a project in order. Nothing happens before the project has a network of its own."""

    def __init__(self, proposals: Proposals) -> None:
        """Ask the network that proposes the points."""
        self._proposals = proposals
        self._round = _Round(Key(""), ())

    def order(self, project: Project, shape: Mapping) -> dict:
        """Two orders so far. If there are photographs that the network has not seen, it goes on with them.

        Args:
            project: of the photographs.
            shape: from `mean_shape`.

        Returns:
            network: its name; empty if the project has none of its own for these points.
            mixed: the names of the photographs to mark that were seen so far, in a random order that stays the same.
            unsure: the same, those first that the network is least sure of. In both, photographs that look like an
                earlier one, or like one that is marked, come later.
            of: how many photographs there are to mark and can be read.
        """
        own = self._proposals.own(project)
        if not own or not shape or project.scheme is None:
            return NOTHING
        name, key = own
        if (key, project.scheme.names) != (self._round.key, self._round.names):
            self._round = _Round(key, project.scheme.names)
        usable = [photograph for photograph, problem in project.photographs.items() if not problem]
        states = {photograph: project.labels.state(photograph) for photograph in usable}
        self._look_at_more(project, shape, states)
        if not self._round.fits:
            return NOTHING
        views = dict(self._round.views)
        to_mark = [photograph for photograph, state in states.items() if state in OPEN]
        seen, doubts, looks = [], [], []
        for photograph in sorted(to_mark, key=_random):
            if (view := views.get(photograph)) and view.doubt is not None:
                seen.append(photograph)
                doubts.append(view.doubt)
                looks.append(view.look)
        known = [view.look for photograph, view in views.items() if states.get(photograph) == DONE]
        known = [look for look in known if look is not None]
        orders = {
            kind: [seen[k] for k in most_useful_first(np.array(weights), looks, known)]
            for kind, weights in (("mixed", np.ones(len(seen))), ("unsure", doubts))
        }
        unreadable = sum(photograph in views and views[photograph].look is None for photograph in to_mark)
        return {"network": name, **orders, "of": len(to_mark) - unreadable}

    def _look_at_more(self, project: Project, shape: Mapping, states: Mapping[str, str]) -> None:
        """Let a thread look at the photographs that were not seen yet, unless one is at it."""
        current = self._round
        if (current.thread and current.thread.is_alive()) or not current.fits:
            return
        boxes: dict[str, np.ndarray | None] = {}
        for photograph, state in states.items():
            view = current.views.get(photograph)
            if view and (view.look is None or view.doubt is not None):
                continue
            if state in OPEN:
                boxes[photograph] = None
            elif state == DONE and view is None:
                boxes[photograph] = np.array(project.labels.faces(photograph)[0]["box"], np.float64)
        if boxes:
            arguments = current, project.folder, boxes, shape
            current.thread = threading.Thread(target=self._look_at, args=arguments, name="next to mark")
            current.thread.start()

    def _look_at(self, current: _Round, folder: Path, boxes: Mapping[str, np.ndarray | None], shape: Mapping) -> None:
        """Fill the views of photographs with these boxes in pixels as stored; None of those to mark."""
        try:
            loaded = self._proposals.load(current.key)
        except KpError:  # is said where its points are proposed
            current.fits = False
            return
        current.fits = loaded.info.scheme.names == current.names
        for name, box in boxes.items():
            # a newer network has begun, or the server ends
            if not current.fits or current is not self._round or not threading.main_thread().is_alive():
                return
            try:
                current.views[name] = look_at(loaded, folder / name, box, shape)
            except KpError:  # is said when the photograph is opened
                current.views[name] = View(None, None)


def _random(name: str) -> bytes:
    """A key that sorts names in a random order, in which they stay when others are added."""
    return hashlib.sha256(name.encode()).digest()


def look_at(loaded: Loaded, path: Path, box: np.ndarray | None, shape: Mapping) -> View:
    """Look at a photograph.

    Args:
        loaded: the network.
        path: of the photograph.
        box: (4,) of its object in pixels as stored; None: it is to be marked.
        shape: from `mean_shape`.

    Raises:
        KpError: if it cannot be read.
    """
    photograph = open_photograph(path)
    grey, info = photograph.upright.convert("L"), loaded.info
    if box is not None:
        return View(None, look_of(grey, photograph.orientation.boxes_to_upright(box[None])[0]))

    found, plain = find_object(loaded.network, info, grey, usual_box(shape, grey.size))
    averaged = network_outputs(loaded.network, info, grey, found, flips=True) if info.scheme.flip_indices else plain
    around = box_around(plain[:, :2])
    sides = around[None, 2:].max(axis=1) * (info.recipe.crop_scale or 1)
    return View(float(expected_errors(plain[None], averaged[None], sides)[0]), look_of(grey, around))
