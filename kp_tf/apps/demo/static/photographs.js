/** Opening photographs: their images, their faces, and the faces that another network predicts. */

import * as api from "./api.js";
import { startBox } from "./draft.js";
import { sortFiles } from "./files.js";
import { parseLabels } from "./labels.js";
import {
  boxesKey, currentPhoto, discardFaces, hasUnsavedChanges, selectPhoto, setDraftBox, setError, setNetwork, setPhotos,
  setStatus, state, updatePhoto,
} from "./state.js";
import { showAll } from "./view.js";

/** Opens files in place of those that are open, and shows the first photograph that has no labels yet. */
export async function openFiles(files) {
  setError("");
  if (hasUnsavedChanges() && !confirm("Some corrections are not saved. Open other photographs anyway?")) return;
  let selection;
  try {
    selection = sortFiles(files);
  } catch (error) {
    setError(error.message);
    return;
  }
  const { labels, problem } = await readLabels(selection.labels);
  const { folder, photographs } = selection;
  setPhotos(photographs.map((one) => ({ ...one, folder, reviewed: labels.has(one.name), changed: false, history: [] })), labels);
  const first = state.photos.findIndex((photo) => !photo.reviewed);
  await showPhoto(Math.max(first, 0));
  if (problem) setError(problem); // the photographs can be used all the same
}

async function readLabels(selected) {
  try {
    return { labels: selected ? parseLabels(await selected.file.text(), selected.name) : new Map() };
  } catch (error) {
    return { labels: new Map(), problem: error.message };
  }
}

/** Shows a photograph, and loads the next one meanwhile. */
export async function showPhoto(index) {
  setError("");
  selectPhoto(index);
  const photo = currentPhoto();
  setStatus(`Opening ${photo.name} …`);
  try {
    await load(photo);
  } catch (error) {
    if (photo === currentPhoto()) {
      setStatus(`${photo.name} cannot be opened.`);
      setError(error.message);
    }
    return;
  }
  if (photo !== currentPhoto() || !photo.faces) return;
  updatePhoto(photo, { reviewed: true });
  setError(photo.warning ?? "");
  showAll();
  announceFaces(photo);
  compare();
  const next = state.photos[index + 1];
  if (next) load(next).catch(() => {}); // the error is shown when that photograph is opened
}

function announceFaces(photo) {
  const count = photo.faces.length;
  if (count) setStatus(`${count} ${count === 1 ? "face" : "faces"} in ${photo.name}.`);
  else startBox("No face detected. Drag a box around a face, or press Enter to use the box shown.");
}

/** Uses another network: loads all photographs again.  @returns {boolean}  false if the user declined */
export function changeNetwork(name) {
  if (hasUnsavedChanges() && !confirm("Some corrections are not saved. Discard them and predict again?")) return false;
  setNetwork(name);
  discardFaces();
  if (currentPhoto()) showPhoto(state.photoIndex);
  return true;
}

/** Loads the image and the faces of a photograph, once. */
export function load(photo) {
  if (!photo.loading) {
    const loading = readPhoto(photo).then((content) => {
      if (photo.loading === loading) updatePhoto(photo, content); // otherwise the network has changed meanwhile
    });
    updatePhoto(photo, { loading });
  }
  return photo.loading;
}

async function readPhoto(photo) {
  const { network } = state;
  const labelled = state.labels.get(photo.name);
  let prediction, warning;
  try {
    prediction = await predict(photo, { network, boxes: labelled && [] });
  } catch (error) {
    prediction = await predict(photo, { network, boxes: [] }); // without detection; then the user can still draw boxes
    warning = error.message;
  }
  const faces = labelled ? await facesOfLabels(photo, network, labelled, prediction) : prediction.faces;
  const image = photo.image ?? (await readImage(photo, prediction));
  return { ...prediction, faces, image, warning };
}

async function facesOfLabels(photo, network, labelled, prediction) {
  const names = new Set(prediction.names);
  for (const { points } of labelled) {
    const unknown = [...points.keys()].find((name) => !names.has(name));
    if (unknown !== undefined) {
      throw new Error(`cannot use the labels of ${photo.name}: the network ${network} has no point ${unknown}`);
    }
  }
  const faces = labelled.map(({ box, points }) => ({ box, points: prediction.names.map((name) => points.get(name) ?? null) }));
  return api.toUpright(prediction, faces, network);
}

async function readImage(photo, { width, height, orientation }) {
  const image = await decode(photo.file).catch(() => null);
  // Browsers differ in the formats they open and in whether they follow EXIF; the server converts the rest.
  if (image && orientation === 1 && image.naturalWidth === width && image.naturalHeight === height) return image;
  if (image) URL.revokeObjectURL(image.src);
  return decode(await api.preview(photo.file, photo.name));
}

async function decode(blob) {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  try {
    await image.decode();
  } catch (error) {
    URL.revokeObjectURL(image.src);
    throw error;
  }
  return image;
}

/**
 * Predicts the faces of a photograph.
 *
 * @param {import("./state.js").Photo} photo
 * @param {{boxes?: import("./geometry.js").Box[], network?: string}} options  without boxes the faces are detected
 */
export async function predict({ file, name }, { boxes, network = state.network }) {
  if (file.size > state.uploadLimit) {
    const [size, limit] = [file.size, state.uploadLimit].map((bytes) => `${(bytes / 1e6).toFixed(0)} MB`);
    throw new Error(`cannot open ${name}: its ${size} exceed the limit of ${limit}`);
  }
  return api.predict(file, { name, network, boxes });
}

/** Predicts the points of the current photograph's faces with the network chosen for comparison. */
export async function compare() {
  const [photo, network] = [currentPhoto(), state.comparedNetwork];
  if (!photo?.faces) return;
  const boxes = photo.faces.map((face) => face.box);
  if (!network || !boxes.length) {
    updatePhoto(photo, { comparison: undefined });
    return;
  }
  const key = boxesKey(photo);
  try {
    const { names, faces } = await predict(photo, { boxes, network });
    if (JSON.stringify(names) !== JSON.stringify(photo.names)) {
      throw new Error(`cannot compare with ${network}: it predicts other points`);
    }
    updatePhoto(photo, { comparison: { network, boxes: key, faces } });
  } catch (error) {
    setError(error.message);
  }
}
