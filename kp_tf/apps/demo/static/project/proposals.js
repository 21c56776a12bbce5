/** Where the points that are not marked yet are likely to be. */

import { currentFace, currentPhoto, setError, updatePhoto } from "../state.js";
import * as api from "./api.js";
import { project } from "./project.js";
import { boxAround, shapeOn } from "./shape.js";

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
 * A position for each point: those of the network or, without one, those of the mean shape moved onto the points that are
 * marked; null where there is none.
 *
 * @returns {(?import("../geometry.js").Point)[]}
 */
export function proposals() {
  const photo = currentPhoto();
  const face = project.beginning ? null : currentFace();
  const marked = face?.points ?? [];
  const number = project.beginning ? photo.faces.length : photo.faces.indexOf(face);
  const predicted = photo.predicted?.[number]?.points;
  if (predicted) return predicted;
  return project.shape.points ? shapeOn(project.shape, marked, photo) : (project.scheme?.names ?? []).map(() => null);
}
