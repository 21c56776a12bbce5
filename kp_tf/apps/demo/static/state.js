/**
 * The state of the page. Other modules read `state` and change it only through the functions below, each of which
 * lets the page be drawn again.
 *
 * @typedef {import("./geometry.js").Point} Point
 * @typedef {import("./geometry.js").Box} Box
 *
 * @typedef {object} Face  in pixels of the upright photograph
 * @property {Box} box
 * @property {number} [source]  the number of its box in the photograph's entries
 * @property {(Point | null)[]} points  null where a point is missing
 * @property {(number | null)[]} confidence  from 0 to 1; null where it is not known, as for points set by hand
 * @property {Record<number, Point>} [removed]  where missing points were, by index
 * @property {boolean} [unboxed]  the box is not shown, because it is not final
 *
 * @typedef {OpenedPhoto & Partial<import("./api.js").Prediction>} Photo  has a prediction once it is loaded
 *
 * @typedef {object} OpenedPhoto
 * @property {File} file
 * @property {?string} folder  the name of the opened folder; null for single files
 * @property {string} name  the path relative to the folder
 * @property {import("./api.js").Entry[]} entries  of the photograph in the labels that were opened
 * @property {boolean} reviewed  has been shown, or has entries
 * @property {boolean} changed  has corrections that are not saved
 * @property {string[]} history  earlier `faces` as JSON, for undo
 * @property {Promise<void>} [loading]
 * @property {string} [failure]  why it could not be loaded
 * @property {string} [warning]  why the faces could not be detected
 * @property {HTMLImageElement} [image]  upright
 * @property {{network: string, boxes: string, faces: Face[]}} [comparison]  another network's faces for these boxes
 */

import { round } from "./geometry.js";

export const state = {
  uploadLimit: Infinity, // bytes
  network: "",
  comparedNetwork: "", // empty: none
  /** @type {Photo[]} */
  photos: [],
  /** @type {?import("./labels.js").Labels} */
  labels: null,
  /** @type {?Blob}  the labels as they were saved last */
  savedLabels: null,
  photoIndex: -1,
  faceIndex: 0,
  /** @type {?number} */
  pointIndex: null,
  /** The visible part of the photograph, in its pixels. */
  view: { x: 0, y: 0, width: 1, height: 1 },
  /** @type {?Box}  a new box while it is drawn */
  draftBox: null,
  /** @type {Set<string>} */
  hiddenGroups: new Set(),
  show: { boxes: true, numbers: false, confidence: false },
  status: "No photograph is open.",
  error: "",
  notice: "", // about the opened files, until others are opened
  saveHint: "",
};

// --- reading ---

/** @returns {Photo | undefined} */
export const currentPhoto = () => state.photos[state.photoIndex];

/** @returns {Face | undefined} */
export const currentFace = () => currentPhoto()?.faces?.[state.faceIndex];

export const hasUnsavedChanges = () => state.photos.some((photo) => photo.changed);

export function isHidden(photo, pointIndex) {
  return Object.entries(photo.groups).some(([name, points]) => state.hiddenGroups.has(name) && points.includes(pointIndex));
}

/** The faces of the compared network, if they were predicted for the present boxes. */
export function comparedFaces(photo) {
  return photo.comparison?.boxes === boxesKey(photo) ? photo.comparison.faces : [];
}

/** The boxes of a photograph as text, to tell whether they have changed. */
export const boxesKey = (photo) => JSON.stringify(photo.faces.map((face) => face.box));

// --- telling the page ---

let listener = () => {};
let scheduled = false;

/** Calls a function after changes: once, however many functions below have been called. */
export function onChange(callback) {
  listener = callback;
}

export function changed() {
  if (scheduled) return;
  scheduled = true;
  queueMicrotask(() => {
    scheduled = false;
    listener();
  });
}

function assign(target, values) {
  Object.assign(target, values);
  changed();
}

// --- settings and messages ---

export const setUploadLimit = (uploadLimit) => assign(state, { uploadLimit });
export const setNetwork = (network) => assign(state, { network });
export const setComparedNetwork = (comparedNetwork) => assign(state, { comparedNetwork });
export const setStatus = (status) => assign(state, { status });
export const setError = (error) => assign(state, { error });
export const setNotice = (notice) => assign(state, { notice });
export const setSaveHint = (saveHint) => assign(state, { saveHint });
export const setView = (view) => assign(state, { view });
export const setDraftBox = (draftBox) => assign(state, { draftBox });
export const setShown = (name, visible) => assign(state.show, { [name]: visible });

export function setGroupVisible(name, visible) {
  if (visible) state.hiddenGroups.delete(name);
  else state.hiddenGroups.add(name);
  changed();
}

// --- photographs ---

/** Replaces the open photographs. */
export function setPhotos(photos) {
  for (const { image } of state.photos) if (image) URL.revokeObjectURL(image.src);
  assign(state, { photos, photoIndex: -1, saveHint: "" });
}

/** Replaces the labels that were opened. */
export const setLabels = (labels) => assign(state, { labels, savedLabels: null });

export function selectPhoto(index) {
  assign(state, { photoIndex: index, faceIndex: 0, pointIndex: null, draftBox: null });
}

/** Sets properties of a photograph that do not count as corrections. */
export const updatePhoto = (photo, values) => assign(photo, values);

/** Drops all faces, so that the photographs are loaded again. */
export function discardFaces() {
  for (const photo of state.photos) {
    const values = { loading: undefined, faces: undefined, warning: undefined, failure: undefined, comparison: undefined };
    updatePhoto(photo, { ...values, history: [], changed: false });
  }
}

/** Notes that everything is saved.  @param {?Blob} labels  the saved labels, if they are what was saved */
export function markSaved(labels) {
  for (const photo of state.photos) updatePhoto(photo, { changed: false });
  if (labels) assign(state, { savedLabels: labels });
}

let edited = (photo) => setStatus(`Corrections of ${photo.name} are not saved yet.`);

/** Calls a function with a photograph after each correction, instead of saying that it is not saved. */
export function onEdit(callback) {
  edited = callback;
}

/** Notes a correction, so that no message says any longer that all is saved. */
function markChanged(photo) {
  updatePhoto(photo, { changed: true });
  edited(photo);
}

// --- faces and points ---

export const selectFace = (index) => assign(state, { faceIndex: index, pointIndex: null });
export const selectPoint = (index, faceIndex = state.faceIndex) => assign(state, { faceIndex, pointIndex: index });

/** The faces as JSON, to be handed to `commit` or `restore`. */
export const snapshot = (photo) => JSON.stringify(photo.faces);

/** Makes what has changed since a snapshot one step of undo. */
export function commit(photo, before) {
  photo.history.push(before);
  markChanged(photo);
}

export const restore = (photo, before) => updatePhoto(photo, { faces: JSON.parse(before) });

/** Changes the faces of a photograph as one step of undo.  @param {(photo: Photo) => void} edit */
export function editFaces(photo, edit) {
  const before = snapshot(photo);
  edit(photo);
  commit(photo, before);
}

export function undo(photo) {
  restore(photo, photo.history.pop());
  const last = Math.max(0, photo.faces.length - 1);
  markChanged(photo);
  assign(state, { faceIndex: Math.min(state.faceIndex, last) });
}

export function removeFace(photo, index) {
  editFaces(photo, () => photo.faces.splice(index, 1));
  selectFace(0);
}

/** Moves a point by hand, after which the network's confidence no longer applies. */
export function movePoint(face, index, [x, y]) {
  face.points[index] = [round(x), round(y)];
  face.confidence[index] = null;
  changed();
}

export function setBox(face, box) {
  face.box = box;
  changed();
}

/** Makes a point missing, and remembers where it was. */
export function removePoint(photo, face, index) {
  editFaces(photo, () => {
    face.removed = { ...face.removed, [index]: face.points[index] };
    face.points[index] = null;
  });
}
