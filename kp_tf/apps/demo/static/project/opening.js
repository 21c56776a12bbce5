/** Opening the photographs of the project. */

import { Unavailable } from "../api.js";
import { readImage } from "../image.js";
import { currentPhoto, selectPhoto, setError, setStatus, state, updatePhoto } from "../state.js";
import { showAll } from "../view.js";
import * as api from "./api.js";
import { project, setProject } from "./project.js";
import { predictPhoto } from "./proposals.js";
import { isAround, isUnboxed } from "./shape.js";

const KEPT = 24; // images in memory
const recent = []; // photographs with an image, the latest last

/** Shows a photograph, and loads the next one meanwhile.  @returns {Promise<boolean>}  whether it can be used */
export async function showPhoto(index) {
  const photo = state.photos[index];
  if (!photo) return false;
  setError("");
  selectPhoto(index);
  setProject({ beginning: false, from: 0, cursor: null });
  setStatus(`Opening ${photo.name} …`);
  try {
    await load(photo);
  } catch (error) {
    if (photo === currentPhoto()) {
      setStatus(`${photo.name} cannot be opened.`);
      setError(error.message);
    }
    return false;
  }
  if (photo !== currentPhoto()) return true;
  setProject({ beginning: !photo.faces.length && photo.state !== "none" });
  setStatus(photo.name);
  showAll();
  if (project.scheme) {
    await refreshShape();
    if (photo === currentPhoto()) await predictPhoto(photo);
  }
  const next = state.photos[index + 1];
  if (next && photo === currentPhoto()) load(next).catch(() => {}); // the error is shown when it is opened
  return true;
}

/** Asks for the mean shape of the objects that are finished by now. */
async function refreshShape() {
  setProject({ shape: await api.shape().catch(() => project.shape) });
}

const isToMark = ({ state: how, isBroken }) => !isBroken && (how === "new" || how === "begun");

/** The photographs to mark, by index: in the order that was chosen, if there is one, and then by name. */
export function toMark() {
  const indices = [...state.photos.keys()].filter((index) => isToMark(state.photos[index]));
  if (!isOrdered()) return indices;
  const rank = new Map(project.next[project.order].map((name, place) => [name, place]));
  const place = (index) => rank.get(state.photos[index].name) ?? Infinity;
  return indices.sort((one, other) => place(one) - place(other) || one - other);
}

export const isOrdered = () => project.order !== "names" && project.next.network !== "";

let followed = ""; // the order that was begun, and its network

const orderName = () => `${project.order} ${project.next.network}`;

/** Notes that the photographs are gone through in the current order. */
export function followOrder() {
  if (isOrdered()) followed = orderName();
}

/**
 * The photograph to mark that follows the current one, the first after the last; -1 if there is none. A new order begins
 * with its first.
 */
export function nextToMark() {
  const indices = toMark();
  if (isOrdered() && followed !== orderName()) return indices.find((index) => index !== state.photoIndex) ?? -1;
  const at = indices.indexOf(state.photoIndex);
  if (at >= 0) return indices.length > 1 ? indices[(at + 1) % indices.length] : -1;
  const after = isOrdered() ? undefined : indices.find((index) => index > state.photoIndex);
  return after ?? indices[0] ?? -1;
}

/** Loads the image and the objects of a photograph: once, or again if that failed. */
export function load(photo) {
  photo.loading ??= read(photo).catch((error) => {
    updatePhoto(photo, { loading: undefined, failure: error.message, isBroken: !(error instanceof Unavailable) });
    throw error;
  });
  return photo.loading;
}

async function read(photo) {
  if (photo.problem) throw new Error(photo.problem);
  const { name } = photo;
  const { faces, ...size } = await api.faces(name);
  const image = photo.image ?? (await readImage({ file: await api.photograph(name), name }, size));
  keep(photo);
  const { names = [], groups = {}, colours = [] } = project.scheme ?? {};
  const marked = faces.map((face) => {
    const drawn = !isAround(face.box, face.points);
    return { ...face, drawn, unboxed: isUnboxed({ ...face, drawn }) };
  });
  updatePhoto(photo, { ...size, image, names, groups, colours, faces: marked, failure: undefined, isBroken: false });
}

/** Keeps the images of the latest photographs alone. */
function keep(photo) {
  recent.push(photo);
  if (recent.length <= KEPT) return;
  const oldest = recent.shift();
  if (oldest === currentPhoto() || recent.includes(oldest) || oldest.changed || !oldest.image) return;
  URL.revokeObjectURL(oldest.image.src);
  updatePhoto(oldest, { image: undefined, faces: undefined, loading: undefined, history: [] });
}
