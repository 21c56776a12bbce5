/** Saving pictures and files of points. */

import * as api from "./api.js";
import { load } from "./photographs.js";
import { drawPicture } from "./picture.js";
import { currentFace, currentPhoto, markSaved, setError, setSaveHint, setStatus, state } from "./state.js";

const TRAINABLE = /\.(jpe?g|png)$/i; // what training reads
const DOWNLOAD_TIME = 60_000; // milliseconds after which a downloaded file is released

const SAVERS = { picture: savePicture, pts: savePts, json: () => saveAll("json"), xml: saveXml };

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
  if (!face) throw new Error("cannot save .pts: this photograph has no face");
  const number = photo.faces.length > 1 ? `_${state.faceIndex + 1}` : "";
  const file = await api.save({ format: "pts", network: state.network, photographs: [content(photo, [face])] });
  download(file, `${stem(photo)}${number}.pts`);
}

/** Saves the faces of all reviewed photographs.  @returns {Promise<object[]>}  what was saved */
async function saveAll(format) {
  const reviewed = state.photos.filter((photo) => photo.reviewed);
  for (const photo of reviewed) await load(photo); // those with labels may not have been shown yet
  const photographs = reviewed.map((photo) => content(photo, photo.faces));
  download(await api.save({ format, network: state.network, photographs }), `points.${format}`);
  markSaved();
  return photographs;
}

async function saveXml() {
  const { folder } = currentPhoto();
  const photographs = await saveAll("xml");
  const other = photographs.find(({ file }) => !TRAINABLE.test(file));
  const warning = other ? `Training reads only JPEG and PNG files, and ${other.file} is neither. ` : "";
  const command = `python train.py --labels ${folder ?? "FOLDER"}/points.xml --init compact`;
  setSaveHint(`${warning}Move points.xml to ${folder ?? "the folder of the photographs"}. To train on it, run: ${command}`);
}

/** A photograph as the server saves it. */
function content({ name, width, height, orientation }, faces) {
  const plain = faces.map(({ box, points, confidence }) => ({ box, points, confidence }));
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
