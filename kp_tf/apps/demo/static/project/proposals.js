/** Where the points that are not marked yet are likely to be. */

import { distance, mean } from "../geometry.js";
import { currentFace, currentPhoto, setError, updatePhoto } from "../state.js";
import * as api from "./api.js";
import { project } from "./project.js";
import { boxAround, shapeOn } from "./shape.js";

const ASTRAY = 0.1; // mean distance of a network's points from the marks, in units of the longer side of the box around them

/** Asks a network, if there is one, for the points of a photograph that has none. */
export async function predictPhoto(photo) {
  if (photo.predicted || photo.isAsking || photo.faces.length || photo.state === "none") return;
  updatePhoto(photo, { isAsking: true });
  try {
    const usual = project.shape.points ? boxAround(shapeOn(project.shape, [], photo)) : null;
    const { network, faces } = await api.propose(photo.name, usual);
    updatePhoto(photo, { predicted: faces, network });
  } catch (error) {
    if (photo === currentPhoto()) setError(error.message);
  } finally {
    updatePhoto(photo, { isAsking: false });
  }
}

/** Whether all proposals can be taken at once: the mean shape only fits once a point is marked. */
export function canTake() {
  const photo = currentPhoto();
  const number = project.beginning ? photo.faces.length : photo.faces.indexOf(currentFace());
  const fits = photo.predicted?.[number] || (!project.beginning && currentFace()?.points.some(Boolean));
  return Boolean(fits) && proposals().some(Boolean);
}

/**
 * A position for each point: those of the network or, without one or where the marks show that it is wrong, those of the
 * mean shape moved onto the marks; null where there is none.
 *
 * @returns {(?import("../geometry.js").Point)[]}
 */
export function proposals() {
  const photo = currentPhoto();
  const face = project.beginning ? null : currentFace();
  const marked = face?.points ?? [];
  const number = project.beginning ? photo.faces.length : photo.faces.indexOf(face);
  const predicted = photo.predicted?.[number]?.points;
  if (predicted && !(project.shape.points && isAstray(predicted, marked))) return predicted;
  return project.shape.points ? shapeOn(project.shape, marked, photo) : (project.scheme?.names ?? []).map(() => null);
}

function isAstray(predicted, marked) {
  const distances = marked.flatMap((mark, index) => (mark && predicted[index] ? [distance(mark, predicted[index])] : []));
  const [, , width, height] = boxAround(predicted);
  return distances.length > 0 && mean(distances) > ASTRAY * Math.max(width, height);
}
