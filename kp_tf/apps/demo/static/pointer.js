/** Dragging points, corners, new boxes and the photograph itself; the wheel zooms. */

import { positionOf, screenPixel, svg } from "./canvas.js";
import { boxBetween, boxCorners, nearestPoint } from "./geometry.js";
import {
  commit, currentFace, currentPhoto, isHidden, movePoint, restore, selectPoint, setBox, setDraftBox, setView, snapshot,
  state,
} from "./state.js";
import { zoom } from "./view.js";

const REACH = 10; // screen pixels around a point or corner within which the pointer takes it
const CLICK = 3; // screen pixels by which the pointer may move in a click

/**
 * What is being dragged.
 *
 * @typedef {object} Drag
 * @property {(position: import("./geometry.js").Point, event: PointerEvent) => void} move
 * @property {(position: import("./geometry.js").Point) => void} end
 * @property {() => void} [cancel]
 */

/** @type {?Drag} */
let drag = null;
let moved = false;
let photo = null; // the one that the drag began on

/** @type {Actions} */
let actions;

/**
 * What the page does.
 *
 * @typedef {object} Actions
 * @property {() => void} acceptBox  the new box is drawn
 * @property {(face: import("./state.js").Face, box: import("./geometry.js").Box) => void} replaceBox  a corner was dragged
 * @property {(position: import("./geometry.js").Point) => void} click  where there is no point
 */

/** @param {Actions} does */
export function connectPointer(does) {
  actions = does;
  svg.addEventListener("pointerdown", begin);
  svg.addEventListener("pointermove", move);
  svg.addEventListener("pointerup", end);
  svg.addEventListener("pointercancel", cancel);
  svg.addEventListener("wheel", wheel, { passive: false });
}

function begin(event) {
  photo = currentPhoto();
  if (!photo?.faces || event.button !== 0) return;
  svg.focus();
  capture(event.pointerId);
  const position = positionOf(event);
  moved = false;
  drag = dragDraftBox(position) ?? dragPoint(position) ?? dragCorner(position) ?? dragView(event);
}

function capture(pointerId) {
  try {
    svg.setPointerCapture(pointerId);
  } catch {
    // The pointer has already left, so that there is nothing to follow.
  }
}

function move(event) {
  if (!isDragging()) return;
  moved = true;
  drag.move(positionOf(event), event);
}

function end(event) {
  if (isDragging()) drag.end(positionOf(event));
  drag = null;
}

function cancel() {
  if (isDragging()) drag.cancel?.();
  drag = null;
}

/** Whether a drag goes on; opening another photograph or network ends it. */
const isDragging = () => drag && photo === currentPhoto() && photo.faces;

function wheel(event) {
  if (!currentPhoto()?.faces) return;
  event.preventDefault();
  zoom(Math.exp(event.deltaY * 0.0015), positionOf(event));
}

/** @returns {?Drag} */
function dragDraftBox(start) {
  if (!state.draftBox) return null;
  return {
    move: (position) => setDraftBox(boxBetween(start, position)),
    end: () => moved && actions.acceptBox(),
  };
}

/** @returns {?Drag} */
function dragPoint(start) {
  const faceIndices = new Set([state.faceIndex, ...photo.faces.keys()]); // the selected face first
  for (const faceIndex of faceIndices) {
    const index = photo.faces[faceIndex] ? pointAt(photo.faces[faceIndex], start) : null;
    if (index !== null) {
      selectPoint(index, faceIndex);
      return pointDrag(photo.faces[faceIndex], index);
    }
  }
  return null;
}

function pointAt(face, position) {
  const visible = face.points.map((point, index) => (isHidden(photo, index) ? null : point));
  return nearestPoint(visible, position, REACH * screenPixel());
}

function pointDrag(face, index) {
  const before = snapshot(photo);
  return {
    move: (position) => movePoint(face, index, position),
    end: () => moved && commit(photo, before),
    cancel: () => restore(photo, before),
  };
}

/** @returns {?Drag} */
function dragCorner(start) {
  const face = currentFace();
  if (!face || !state.show.boxes || face.unboxed) return null;
  const { box } = face;
  const corner = nearestPoint(boxCorners(box), start, REACH * screenPixel());
  if (corner === null) return null;
  const opposite = boxCorners(box)[(corner + 2) % 4];
  return {
    move: (position) => setBox(face, boxBetween(opposite, position)),
    end() {
      const dragged = face.box;
      setBox(face, box); // until the points in the new box are known
      if (moved) actions.replaceBox(face, dragged);
    },
    cancel: () => setBox(face, box),
  };
}

/** Drags the photograph, unless it is a click.  @returns {Drag} */
function dragView({ clientX, clientY }) {
  const { view } = state;
  let far = false;
  return {
    move(_, event) {
      far ||= Math.hypot(event.clientX - clientX, event.clientY - clientY) > CLICK;
      if (!far) return;
      const pixel = screenPixel();
      setView({ ...view, x: view.x - (event.clientX - clientX) * pixel, y: view.y - (event.clientY - clientY) * pixel });
    },
    end(position) {
      if (!far) actions.click(position);
    },
  };
}
