/** Frames of the camera and of clips that become photographs of the project. */

import { state, updatePhoto } from "../state.js";
import * as api from "./api.js";
import { showPhoto } from "./opening.js";
import { addPhoto, setProject } from "./project.js";

const FOLDER = "frames/";

/** The photograph of a frame's name, if the project has it. */
export const frameNamed = (name) => state.photos.find((photo) => photo.name === FOLDER + name);

/** The frames of a clip that the project has, by its name. */
export function framesOf(clip) {
  const start = `${FOLDER}${clip}-`;
  return state.photos.filter(({ name }) => name.startsWith(start) && /^\d+\.png$/.test(name.slice(start.length)));
}

/**
 * Makes a frame a photograph and opens it, with the points that were found as proposals.
 *
 * @param {File} file
 * @param {import("../state.js").Face[]} faces
 */
export async function correctFrame(file, faces) {
  const photo = addPhoto(await api.add(file));
  if (faces.length) updatePhoto(photo, { predicted: faces });
  setProject({ view: "mark" });
  await showPhoto(state.photos.indexOf(photo));
  return photo;
}
