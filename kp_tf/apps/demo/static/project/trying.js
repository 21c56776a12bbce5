/** The view in which the network is tried: on the camera and on clips. */

import { connectCamera, stopCamera } from "../camera.js";
import { changed, setError } from "../state.js";
import * as api from "./api.js";
import { closeClip, correctShown, openClip, pauseClip, playOrPause, renderClip, returnToClip, show, step } from "./clip.js";
import { correctFrame } from "./frames.js";
import { loadPredictor } from "./network.js";
import { project, setProject } from "./project.js";
import { warningOf } from "./training.js";

const byId = (id) => document.getElementById(id);
const COPIED_TIME = 2000; // milliseconds for which the button says so
const FACE = "68 points of a face"; // among the published sets
const VIDEO = /\.(mp4|m4v|mov|webm|mkv|ogv|avi)$/i;

/** What keys do while a clip is shown. */
export const CLIP_KEYS = {
  " ": playOrPause,
  ArrowLeft: () => step(-1),
  ArrowRight: () => step(1),
  Enter: correctShown,
  Escape: closeClip,
};

const BUTTONS = {
  "clip-play": playOrPause,
  "clip-back": () => step(-1),
  "clip-on": () => step(1),
  "clip-correct": correctShown,
  "clip-close": closeClip,
  "clip-return": returnToClip,
  export: exportSite,
  "export-copy": copyCommand,
};

const site = { isBeingMade: false, words: "" };

export function connectTrying() {
  connectCamera({
    load: loadPredictor,
    take: (frame) => correctFrame(frame, []).catch((error) => setError(error.message)),
    looking: ({ shape }) => (shape ? "Looking for an object. Bring it closer." : "There is no network yet: take pictures to mark."),
  });
  for (const [id, action] of Object.entries(BUTTONS)) byId(id).addEventListener("click", action);
  byId("clip-position").addEventListener("input", ({ target }) => show(target.valueAsNumber));
  byId("clip-file").addEventListener("change", ({ target }) => {
    const [file] = target.files;
    target.value = ""; // so that the same file can be opened again
    if (file) openClip(file);
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    byId("stage").classList.add("over");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || byId("stage").classList.remove("over"));
  document.addEventListener("drop", dropped);
}

function dropped(event) {
  event.preventDefault();
  byId("stage").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (!file || project.blocked) return;
  if (!project.scheme) setError("Name the points first; then clips can be opened.");
  else if (file.type.startsWith("video/") || VIDEO.test(file.name)) openClip(file);
  else setError(`${file.name} is not a clip. To add photographs, copy them into the folder ${project.folder} and reload this page.`);
}

/** Whether the network that comes with kp_tf has the points of the project. */
const hasFaceNetwork = () => String(project.scheme?.names) === String(project.sets[FACE]?.names);

/** Makes a page with the newest network. */
async function exportSite() {
  Object.assign(site, { isBeingMade: true, words: "Making the page. This takes a minute …" });
  setError("");
  try {
    const { network, folder, size } = await api.exportSite();
    site.words = `The page with network ${network} is in ${folder} (${(size / 1e6).toFixed(1)} MB).`;
    setProject({ site: folder });
  } catch (error) {
    site.words = "";
    setError(error.message);
  }
  site.isBeingMade = false;
  changed();
}

/** The command that serves the page on this machine. */
const servingCommand = () => `python3 -m http.server --directory "${project.site}" --bind 127.0.0.1 8001`;

/** Copies the command that serves the page or, where the browser does not allow that, selects it. */
async function copyCommand() {
  const copy = byId("export-copy");
  try {
    await navigator.clipboard.writeText(servingCommand());
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), COPIED_TIME);
  } catch {
    getSelection().selectAllChildren(byId("export-command"));
  }
}

/** Stops what runs when another view is chosen. */
export function leaveTrying() {
  stopCamera();
  pauseClip();
}

export function renderTrying() {
  const isShown = project.view === "try";
  byId("try-empty").hidden = !isShown || Boolean(project.clip);
  renderClip();
  if (!isShown) return;
  const [newest] = project.training.runs ?? [];
  const words = newest || hasFaceNetwork()
    ? `${newest ? `Network ${newest}` : "The network for faces, which comes with kp_tf,"} shows its points in every frame, and in the photographs under 2 Mark. Other photographs can be opened on the page that is made below.`
    : "There is no network of this project yet. You can take frames as photographs, to mark them.";
  if (byId("try-hint").textContent !== words) byId("try-hint").textContent = words;
  const warning = warningOf(project.training);
  if (byId("export-warning").textContent !== warning) byId("export-warning").textContent = warning;
  byId("export").disabled = !newest || site.isBeingMade;
  const earlier = project.site ? `The page that was made last is in ${project.site}.` : "";
  const said = newest ? site.words || earlier : "Train a network first.";
  if (byId("export-state").textContent !== said) byId("export-state").textContent = said;
  byId("export-made").hidden = !newest || !project.site || site.isBeingMade;
  byId("export-command").textContent = servingCommand();
}
