/** Saving pictures and files of points. */

import * as api from "./api.js";
import { labelsToSave } from "./labels.js";
import { noun } from "./noun.js";
import { load } from "./photographs.js";
import { drawPicture } from "./picture.js";
import { currentFace, currentPhoto, markSaved, setError, setSaveHint, setStatus, state } from "./state.js";

const TRAINABLE = /\.(jpe?g|png)$/i; // what training reads
const DOWNLOAD_TIME = 60_000; // milliseconds after which a downloaded file is released

const SAVERS = { picture: savePicture, pts: savePts, json: saveJson, xml: saveXml };

/** @param {keyof typeof SAVERS} format */
export async function save(format) {
  setError("");
  try {
    await SAVERS[format]();
  } catch (error) {
    setError(error.message);
  }
}

async function savePicture() {
  const photo = currentPhoto();
  download(await drawPicture(photo), `${stem(photo)}-points.jpg`);
}

async function savePts() {
  const [photo, face] = [currentPhoto(), currentFace()];
  if (!face) throw new Error(`cannot save .pts: this photograph has no ${noun}`);
  const number = photo.faces.length > 1 ? `_${state.faceIndex + 1}` : "";
  const file = await api.save({ format: "pts", network: state.network, photographs: [content(photo, [face])] });
  download(file, `${stem(photo)}${number}.pts`);
}

/** Saves all reviewed photographs; those that cannot be loaded are named. */
async function saveJson() {
  const reviewed = state.photos.filter((photo) => photo.reviewed);
  for (const photo of reviewed) await load(photo).catch(() => {}); // those with labels may not have been shown yet
  await saveFaces("json", reviewed.filter((photo) => photo.faces));
  const failed = reviewed.filter((photo) => !photo.faces);
  setError(failed.map((photo) => `${photo.name} is not in points.json: ${photo.failure}`).join("\n"));
}

/** Saves the labels that were opened, with the faces of the photographs that have been loaded. */
async function saveXml() {
  const { folder } = currentPhoto();
  const shown = state.photos.filter((photo) => photo.reviewed && photo.faces);
  const file = await saveFaces("xml", shown, labelsToSave(state.labels, shown));
  markSaved(file);
  const failed = state.photos.filter((photo) => photo.entries.length && !photo.faces && failureOf(photo));
  setError(failed.map((photo) => `The entry of ${photo.name} is kept as it was: ${failureOf(photo)}`).join("\n"));
  const other = shown.find(({ name }) => !TRAINABLE.test(name));
  const warning = other ? `Training reads only JPEG and PNG files, and ${other.name} is neither. ` : "";
  const command = `python train.py --labels ${folder ?? "FOLDER"}/points.xml --init compact`;
  setSaveHint(`${warning}Move points.xml to ${folder ?? "the folder of the photographs"}. To train on it, run: ${command}`);
}

const failureOf = ({ failure, entries }) => failure ?? entries.find((entry) => entry.problem)?.problem;

/** @returns {Promise<Blob>}  the file */
async function saveFaces(format, photos, opened = null) {
  const photographs = photos.map((photo) => content(photo, photo.faces));
  const file = await api.save({ format, network: state.network, photographs, opened });
  download(file, `points.${format}`);
  markSaved(null);
  return file;
}

/** A photograph as the server saves it. */
function content({ name, width, height, orientation }, faces) {
  const plain = faces.map(({ box, points, confidence, source }) => ({ box, points, confidence, source }));
  return { file: name, width, height, orientation, faces: plain };
}

const stem = ({ name }) => name.split("/").pop().replace(/\.[^.]*$/, "");

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), DOWNLOAD_TIME);
  setStatus(`Saved ${name}.`);
}
