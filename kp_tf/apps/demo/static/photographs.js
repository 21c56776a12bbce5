/** Opening photographs: their images, their faces, and the faces that another network predicts. */

import * as api from "./api.js";
import { startBox } from "./draft.js";
import { sortFiles } from "./files.js";
import { readImage } from "./image.js";
import { labelledFaces, matchEntries, readLabels } from "./labels.js";
import { aNoun, counted, noun } from "./noun.js";
import {
  boxesKey, currentPhoto, discardFaces, hasUnsavedChanges, selectPhoto, setComparedNetwork, setError, setLabels, setNetwork,
  setNotice, setPhotos, setStatus, state, updatePhoto,
} from "./state.js";
import { showAll } from "./view.js";

const RETRY_TIME = 3000; // milliseconds after which a photograph is asked for again while the server is away

let latest = null; // the files that were opened last

/** Opens files in place of those that are open, and shows the first photograph that has no labels yet. */
export async function openFiles(files) {
  setError("");
  if (hasUnsavedChanges() && !confirm("Some corrections are not saved. Open other photographs anyway?")) return;
  latest = files;
  try {
    const selection = sortFiles(files);
    const { labels, problems } = await readLabels(selection.labels);
    const photos = selection.photographs.map((one) => newPhoto(one, selection.folder));
    if (photos.length === 1) await tryOpening(photos[0], labels);
    if (latest !== files) return;
    setPhotos(photos);
    adoptLabels(labels);
    setNotice(noticeOf(labels, problems, selection));
  } catch (error) {
    if (latest === files) setError(error.message); // what was open before stays open
    return;
  }
  await showPhoto(Math.max(state.photos.findIndex((photo) => !photo.reviewed), 0));
}

const newPhoto = (one, folder) => ({ ...one, folder, entries: [], reviewed: false, changed: false, history: [] });

/** Throws if the only photograph cannot be opened. */
async function tryOpening(photo, labels) {
  photo.entries = matchEntries(labels, [photo.name]).get(photo.name) ?? [];
  setStatus(`Opening ${photo.name} …`);
  try {
    await load(photo);
  } catch (error) {
    if (error instanceof api.Unavailable) return; // it is asked for again when it is shown
    setStatus(`${photo.name} cannot be opened.`);
    throw error;
  }
}

function adoptLabels(labels) {
  const entries = matchEntries(labels, state.photos.map(({ name }) => name));
  setLabels(labels);
  for (const photo of state.photos) {
    const own = entries.get(photo.name) ?? [];
    updatePhoto(photo, { entries: own, reviewed: photo.reviewed || own.length > 0 });
  }
}

function noticeOf(labels, problems, { folder, skipped }) {
  const more = problems.length > 1 ? `\n${problems.length - 1} more XML files cannot be read.` : "";
  const left = matchEntries(labels, state.photos.map(({ name }) => name)).get(undefined)?.length;
  const [entries, are] = left === 1 ? ["1 entry", "matches"] : [`${left} entries`, "match"];
  const where = folder === null ? "that is open" : "in this folder";
  const kept = left === 1 ? "it is kept as it is" : "they are kept as they are";
  const unmatched = left ? `${entries} of ${labels.name} ${are} no photograph ${where}; ${kept}.` : "";
  const leftOut = skipped ? `Left out: ${skipped}.` : "";
  return [problems.length ? problems[0] + more : "", unmatched, leftOut].filter(Boolean).join("\n");
}

/** Shows a photograph, and loads the next one meanwhile. */
export async function showPhoto(index) {
  setError("");
  selectPhoto(index);
  setStatus(`Opening ${currentPhoto().name} …`);
  await present(currentPhoto());
}

async function present(photo) {
  try {
    await load(photo);
  } catch (error) {
    if (photo !== currentPhoto()) return;
    setStatus(`${photo.name} cannot be opened.`);
    setError(error.message);
    if (error instanceof api.Unavailable) setTimeout(() => photo === currentPhoto() && present(photo), RETRY_TIME);
    return;
  }
  if (photo !== currentPhoto() || !photo.faces) return;
  updatePhoto(photo, { reviewed: true });
  setError(photo.warning ?? "");
  showAll();
  announceFaces(photo);
  compare();
  const next = state.photos[state.photoIndex + 1];
  if (next) load(next).catch(() => {}); // the error is shown when that photograph is opened
}

function announceFaces(photo) {
  const [count, labelled] = [photo.faces.length, photo.entries.length > 0];
  const source = labelled ? `, as ${state.labels.name} has ${count === 1 ? "it" : "them"}` : "";
  if (count) setStatus(`${counted(count)} in ${photo.name}${source}.`);
  else startBox(`No ${noun} detected. Drag a box around ${aNoun}, or press Enter to use the box shown.`);
}

/** Uses another network: loads all photographs again, unless the user declines. */
export async function changeNetwork(name) {
  if (hasUnsavedChanges() && !confirm("Some corrections are not saved. Discard them and predict again?")) return;
  if (state.savedLabels) { // corrections that were saved are labels now
    const { labels } = await readLabels([{ file: state.savedLabels, name: "points.xml" }]);
    adoptLabels(labels);
  }
  setNetwork(name);
  if (state.comparedNetwork === name) setComparedNetwork("");
  discardFaces();
  if (currentPhoto()) showPhoto(state.photoIndex);
}

/** Loads the image and the faces of a photograph: once, or again if that failed. */
export function load(photo) {
  if (!photo.loading) {
    const update = (values) => photo.loading === loading && updatePhoto(photo, values); // otherwise the network has changed
    const loading = readPhoto(photo).then(
      (content) => void update({ ...content, failure: undefined }),
      (error) => {
        update({ loading: undefined, failure: error.message });
        throw error;
      },
    );
    updatePhoto(photo, { loading });
  }
  return photo.loading;
}

async function readPhoto(photo) {
  const { network } = state;
  const problem = photo.entries.find((entry) => entry.problem)?.problem;
  if (problem) throw new Error(`cannot use the labels of ${photo.name}: ${problem}`);
  const labelled = photo.entries.length > 0;
  const { warning, ...prediction } = await (labelled ? predict(photo, { network, boxes: [] }) : detect(photo, network));
  const faces = labelled ? await facesOfLabels(photo, network, prediction) : prediction.faces;
  const image = photo.image ?? (await readImage(photo, prediction));
  return { ...prediction, faces, image, warning };
}

/** Predicts the detected faces; if they cannot be detected, the user can still draw boxes. */
async function detect(photo, network) {
  try {
    return await predict(photo, { network });
  } catch (error) {
    if (error instanceof api.Unavailable) throw error;
    return { ...(await predict(photo, { network, boxes: [] })), warning: error.message };
  }
}

async function facesOfLabels({ name, entries }, network, prediction) {
  const labelled = labelledFaces(entries);
  const unknown = labelled.flatMap(({ points }) => Object.keys(points)).find((point) => !prediction.names.includes(point));
  if (unknown !== undefined) {
    throw new Error(`cannot use the labels of ${name}: the network ${network} has no point ${unknown}`);
  }
  const faces = labelled.map(({ box, points }) => ({ box, points: prediction.names.map((point) => points[point] ?? null) }));
  const upright = await api.toUpright(prediction, faces, network);
  return upright.map((face, index) => ({ ...face, source: labelled[index].source }));
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
