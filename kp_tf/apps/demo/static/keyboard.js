/** Keyboard shortcuts; the page lists them under "Keyboard shortcuts". */

import { svg } from "./canvas.js";
import { cancelBox, moveBox, resizeBox, startBox } from "./draft.js";
import { acceptBox, togglePoint, undoEdit } from "./editing.js";
import { showPhoto } from "./photographs.js";
import { currentFace, currentPhoto, editFaces, movePoint, selectFace, selectPoint, state } from "./state.js";
import { showAll, showFace, zoomIn, zoomOut } from "./view.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SCALE = 1.05; // of a new box, at one press of + or -

const PAGE_KEYS = { PageDown: () => showNeighbour(1), PageUp: () => showNeighbour(-1) };

const PHOTO_KEYS = { b: () => startBox(), f: selectNextFace, z: showFace, 0: showAll, "+": zoomIn, "-": zoomOut };

const FACE_KEYS = {
  ".": () => selectNeighbour(1),
  ",": () => selectNeighbour(-1),
  Delete: togglePoint,
  Backspace: togglePoint,
};

const BOX_KEYS = { "+": () => resizeBox(SCALE), "-": () => resizeBox(1 / SCALE), Escape: cancelBox };

export function connectKeyboard() {
  document.addEventListener("keydown", (event) => {
    const action = actionFor(event);
    if (!action) return;
    event.preventDefault();
    action();
  });
}

/** What a key does at the moment, or undefined if it is left to the browser. */
function actionFor(event) {
  if (!currentPhoto() || event.target.matches("select") || event.altKey) return undefined;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) return key === "z" ? undoEdit : undefined;
  if (key in PAGE_KEYS) return PAGE_KEYS[key];
  if (!currentPhoto().faces) return undefined;
  const step = ARROWS[key]?.map((pixels) => pixels * (event.shiftKey ? 10 : 1));
  return state.draftBox ? boxAction(key, step, event.target) : faceAction(key, step);
}

function boxAction(key, step, target) {
  if (step) return () => moveBox(step);
  if (key === "Enter" && target === svg) return acceptBox; // on a button, Enter presses the button
  return BOX_KEYS[key];
}

function faceAction(key, step) {
  const point = currentFace()?.points[state.pointIndex];
  if (step) return point && (() => nudgePoint(step));
  if (key === "Escape") return state.pointIndex === null ? undefined : () => selectFace(state.faceIndex);
  return PHOTO_KEYS[key] ?? (currentFace() && FACE_KEYS[key]);
}

function showNeighbour(offset) {
  const index = state.photoIndex + offset;
  if (state.photos[index]) showPhoto(index);
}

function selectNextFace() {
  const count = currentPhoto().faces.length;
  if (count) selectFace((state.faceIndex + 1) % count);
}

function selectNeighbour(offset) {
  const count = currentFace().points.length;
  selectPoint(state.pointIndex === null ? 0 : (state.pointIndex + offset + count) % count);
}

function nudgePoint([dx, dy]) {
  const [face, index] = [currentFace(), state.pointIndex];
  const [x, y] = face.points[index];
  editFaces(currentPhoto(), () => movePoint(face, index, [x + dx, y + dy]));
}
