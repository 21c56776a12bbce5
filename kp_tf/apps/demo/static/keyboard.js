/** Keyboard shortcuts; the page lists them under "Keyboard shortcuts". */

import { startBox } from "./draft.js";
import { acceptBox, togglePoint, undoEdit } from "./editing.js";
import { boxAction, connectKeys, keyOf, stepOf, ZOOM_KEYS } from "./keys.js";
import { showPhoto } from "./photographs.js";
import { currentFace, currentPhoto, editFaces, movePoint, selectFace, selectPoint, state } from "./state.js";

const PAGE_KEYS = { PageDown: () => showNeighbour(1), PageUp: () => showNeighbour(-1) };

const PHOTO_KEYS = { b: () => startBox(), f: selectNextFace, ...ZOOM_KEYS };

const FACE_KEYS = {
  ".": () => selectNeighbour(1),
  ",": () => selectNeighbour(-1),
  Delete: togglePoint,
  Backspace: togglePoint,
};

export const connectKeyboard = () => connectKeys(actionFor);

/** What a key does at the moment, or undefined if it is left to the browser. */
function actionFor(event) {
  if (!currentPhoto() || event.target.matches("select") || event.altKey) return undefined;
  const key = keyOf(event);
  if (event.ctrlKey || event.metaKey) return key === "z" ? undoEdit : undefined;
  if (key in PAGE_KEYS) return PAGE_KEYS[key];
  if (!currentPhoto().faces) return undefined;
  return state.draftBox ? boxAction(event, acceptBox) : faceAction(key, stepOf(event));
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
