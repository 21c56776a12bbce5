/** Corrections that need a prediction: faces in new boxes, and points that are put back. */

import { boxCentre } from "./geometry.js";
import { Noun, noun } from "./noun.js";
import { compare, predict } from "./photographs.js";
import {
  currentFace, currentPhoto, editFaces, movePoint, removePoint, selectFace, selectPoint, setDraftBox, setError, setStatus,
  state, undo,
} from "./state.js";

const MIN_SIDE = 4; // pixels of the photograph

/** Adds the face in the new box. */
export async function acceptBox() {
  const [photo, box] = [currentPhoto(), state.draftBox];
  if (isTooSmall(box)) {
    setStatus("The box is too small.");
    return;
  }
  setDraftBox(null);
  const face = await predictInBox(photo, box);
  if (face) {
    editFaces(photo, () => photo.faces.push(face));
    selectFace(photo.faces.length - 1);
    setStatus(`${Noun} ${photo.faces.length} of ${photo.name}.`);
  } else if (photo === currentPhoto()) setStatus(`No ${noun} was added.`);
  compare();
}

/** Predicts a face again, in another box. */
export async function replaceBox(face, box) {
  const photo = currentPhoto();
  if (isTooSmall(box)) return;
  const replacement = await predictInBox(photo, box);
  const index = photo.faces?.indexOf(face) ?? -1; // it may have been removed meanwhile
  if (replacement && index >= 0) {
    editFaces(photo, () => (photo.faces[index] = { ...replacement, source: face.source }));
    selectFace(index);
    setStatus(`${Noun} ${index + 1} of ${photo.name}.`);
  } else if (photo === currentPhoto()) setStatus("The box was not changed.");
  compare();
}

const isTooSmall = ([, , width, height]) => Math.min(width, height) < MIN_SIDE;

/** The face in a box, or null if there is none or another photograph has been opened meanwhile. */
async function predictInBox(photo, box) {
  setStatus("Predicting the points …");
  try {
    const [face] = (await predict(photo, { boxes: [box] })).faces;
    return photo === currentPhoto() && photo.faces ? face : null;
  } catch (error) {
    if (photo === currentPhoto()) setError(error.message);
    return null;
  }
}

/** Makes the selected point missing, or puts a missing one back. */
export async function togglePoint() {
  const [photo, face, index] = [currentPhoto(), currentFace(), state.pointIndex];
  if (!face || index === null) return;
  if (face.points[index]) removePoint(photo, face, index);
  else await restorePoint(photo, face, index);
}

async function restorePoint(photo, face, index) {
  const position = face.removed?.[index] ?? (await predictedPoint(photo, face, index)) ?? boxCentre(face.box);
  if (photo !== currentPhoto() || !photo.faces?.includes(face)) return;
  editFaces(photo, () => movePoint(face, index, position));
  selectPoint(index, photo.faces.indexOf(face));
}

async function predictedPoint(photo, face, index) {
  const prediction = await predict(photo, { boxes: [face.box] }).catch(() => null);
  return prediction?.faces[0].points[index];
}

export function undoEdit() {
  const photo = currentPhoto();
  if (!photo?.history.length) return;
  undo(photo);
  compare();
}
