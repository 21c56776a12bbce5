/** Marking: which point is asked for, and what a click or a key does with it. */

import { cancelBox, startBox } from "../draft.js";
import { boxContains, round } from "../geometry.js";
import {
  currentFace, currentPhoto, editFaces, removeFace, selectFace, selectPoint, setBox, setDraftBox, setStatus, state, undo,
  updatePhoto,
} from "../state.js";
import { returnToClip } from "./clip.js";
import { followOrder, nextToMark, showPhoto } from "./opening.js";
import { project, setProject } from "./project.js";
import { canTake, proposals } from "./proposals.js";
import { boxAround, isUnboxed } from "./shape.js";

const SMALLEST_BOX = 4; // pixels

/** The index of the point that is asked for, or null if none is. */
export function askedPoint() {
  const [photo, names] = [currentPhoto(), project.scheme?.names];
  if (project.view !== "mark" || !photo?.faces || !names) return null;
  if (project.beginning) return project.from % names.length;
  const todo = currentFace()?.todo ?? [];
  if (!todo.length || (state.pointIndex !== null && !todo.includes(names[state.pointIndex]))) return null;
  if (state.pointIndex !== null) return state.pointIndex;
  const after = names.findIndex((name, index) => index >= project.from && todo.includes(name));
  return after >= 0 ? after : names.findIndex((name) => todo.includes(name));
}

/** Where the point that is asked for is proposed. */
export const askedPosition = () => project.cursor ?? (canTake() ? proposals()[askedPoint()] : null) ?? null;

/** Marks the point that is asked for.  @param {?import("../geometry.js").Point} position  null: it is not visible */
function mark(index, position) {
  const photo = currentPhoto();
  editFaces(photo, () => {
    const face = project.beginning ? begin(photo) : currentFace();
    face.points[index] = position && position.map(round);
    face.confidence[index] = null;
    face.todo = face.todo.filter((name) => name !== project.scheme.names[index]);
    fitBox(face);
  });
  goOn(index + 1);
}

function begin(photo) {
  const { names } = project.scheme;
  const blank = () => names.map(() => null);
  photo.faces.push({ box: [0, 0, 0, 0], points: blank(), confidence: blank(), todo: [...names], drawn: false });
  const box = project.beginning.box;
  if (box) Object.assign(photo.faces.at(-1), { box, drawn: true });
  selectFace(photo.faces.length - 1);
  return photo.faces.at(-1);
}

/** Makes the box follow the points, unless it was drawn. */
export function fitBox(face) {
  face.unboxed = isUnboxed(face);
  if (face.drawn) return;
  const { width, height } = currentPhoto();
  face.box = face.points.some(Boolean) ? boxAround(face.points) : [0, 0, width, height];
}

/** Adds an object with the points that are known; the others are asked for.  @param {(?import("../geometry.js").Point)[]} points */
export function addObject(points) {
  editFaces(currentPhoto(), (photo) => {
    const face = begin(photo);
    face.points = points;
    face.todo = project.scheme.names.filter((_, index) => !points[index]);
    fitBox(face);
  });
  goOn(0);
}

function goOn(from) {
  selectPoint(null);
  setProject({ beginning: false, from, cursor: null });
  const face = currentFace();
  if (face && !face.todo.length) setStatus(`All points of ${currentPhoto().name} are marked.`);
}

/** What a click does: it marks the point that is asked for, or selects an object. */
export function click(position) {
  if (askedPoint() === null && currentFace()?.todo.length) selectPoint(null);
  const asked = askedPoint();
  if (asked !== null) {
    mark(asked, position);
    return;
  }
  const inside = currentPhoto().faces.findIndex(({ box }) => boxContains(box, position));
  if (inside >= 0) chooseFace(inside);
  else selectPoint(null);
}

/** Marks the point where it is proposed. */
export function placeProposed() {
  const position = askedPoint() === null ? null : askedPosition();
  if (position) mark(askedPoint(), position);
}

/** Moves the proposed position of the point that is asked for, or the selected point. */
export function nudge([dx, dy]) {
  const asked = askedPoint();
  const { x, y, width, height } = state.view;
  if (asked !== null) {
    const [left, top] = askedPosition() ?? [x + width / 2, y + height / 2];
    setProject({ cursor: [round(left + dx), round(top + dy)] });
    return;
  }
  const [face, index] = [currentFace(), state.pointIndex];
  const point = face?.points[index];
  if (!point) return;
  editFaces(currentPhoto(), () => {
    face.points[index] = [round(point[0] + dx), round(point[1] + dy)];
    fitBox(face);
  });
}

/** Takes all proposals; without any, goes to the next photograph to mark. */
export function takeProposals() {
  const asked = askedPoint();
  if (asked === null) {
    if (state.pointIndex !== null) selectPoint(null);
    else showNextToMark();
    return;
  }
  if (!canTake()) return;
  const [photo, positions] = [currentPhoto(), [...proposals()]];
  if (project.cursor) positions[asked] = project.cursor;
  const { names } = project.scheme;
  editFaces(photo, () => {
    const face = project.beginning ? begin(photo) : currentFace();
    const taken = face.todo.filter((name) => positions[names.indexOf(name)]);
    for (const name of taken) face.points[names.indexOf(name)] = positions[names.indexOf(name)];
    face.todo = face.todo.filter((name) => !taken.includes(name));
    fitBox(face);
  });
  goOn(0);
}

/** Goes on: back to the clip, if this photograph is a frame that was being corrected. */
export function showNextToMark() {
  if (project.returning && project.returning === currentPhoto()) {
    returnToClip();
    return;
  }
  const next = nextToMark();
  followOrder();
  if (next >= 0) showPhoto(next);
  else setStatus("All photographs are marked.");
}

export function skip() {
  const asked = askedPoint();
  if (asked === null) return;
  selectPoint(null);
  setProject({ from: asked + 1, cursor: null });
}

/** Says that the point is not visible; of one that isn't, asks for it again. */
export function toggleVisible() {
  const [asked, photo, face, index] = [askedPoint(), currentPhoto(), currentFace(), state.pointIndex];
  if (asked !== null) {
    mark(asked, null);
    return;
  }
  if (!face || index === null) return;
  editFaces(photo, () => {
    const wasVisible = face.points[index] !== null;
    face.points[index] = null;
    if (!wasVisible) face.todo = project.scheme.names.filter((name, k) => k === index || face.todo.includes(name));
    fitBox(face);
  });
  setProject({ cursor: null });
}

/** Takes the last mark back, and asks for its point again. */
export function back() {
  const photo = currentPhoto();
  if (!photo?.history?.length) return;
  updatePhoto(photo, { nothing: false });
  const before = new Set(currentFace()?.todo ?? []);
  undo(photo);
  const again = project.scheme.names.findIndex((name) => currentFace()?.todo.includes(name) && !before.has(name));
  selectPoint(null);
  setProject({ beginning: !photo.faces.length, from: Math.max(again, 0), cursor: null });
}

export function chooseFace(index) {
  selectFace(index);
  setProject({ beginning: false, from: 0, cursor: null });
}

export function choosePoint(index) {
  if (project.beginning) setProject({ from: index, cursor: null });
  else {
    selectPoint(index);
    setProject({ cursor: null });
  }
}

export function newObject() {
  selectPoint(null);
  setProject({ beginning: true, from: 0, cursor: null });
  setStatus("Mark the points of another object.");
}

/** Says that there is nothing to mark in the photograph. */
export function nothingHere() {
  const photo = currentPhoto();
  if (!photo?.faces) return;
  updatePhoto(photo, { nothing: true });
  editFaces(photo, () => photo.faces.splice(0));
  setProject({ beginning: false });
  setStatus(`There is nothing to mark in ${photo.name}.`);
}

export function removeObject() {
  const photo = currentPhoto();
  removeFace(photo, state.faceIndex);
  setProject({ beginning: !photo.faces.length, from: 0, cursor: null });
}

const DRAW = "Drag a box around the object, or move it with the arrow keys, scale it with + and −, and press Enter.";

export const toggleBox = () => (state.draftBox ? cancelBox() : startBox(DRAW));

/** Gives the box that was drawn to the selected object, or to the one that is about to be marked. */
export function acceptBox() {
  const [photo, box] = [currentPhoto(), state.draftBox];
  setDraftBox(null);
  if (Math.min(box[2], box[3]) < SMALLEST_BOX) {
    setStatus("The box is too small.");
    return;
  }
  if (!project.beginning && currentFace()) replaceBox(currentFace(), box);
  else setProject({ beginning: { box } });
  setStatus(`The box in ${photo.name} is drawn.`);
}

export function replaceBox(face, box) {
  if (Math.min(box[2], box[3]) < SMALLEST_BOX) return;
  editFaces(currentPhoto(), () => {
    setBox(face, box);
    Object.assign(face, { drawn: true, unboxed: false });
  });
}
