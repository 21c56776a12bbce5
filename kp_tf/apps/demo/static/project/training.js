/** Training a network on what is marked, and watching it. */

import { setError, state, updatePhoto } from "../state.js";
import * as api from "./api.js";
import { project, setProject } from "./project.js";
import { allSaved } from "./saving.js";

const PAUSE = 1500; // milliseconds between two questions while a training runs
const WAIT = 10_000; // and while none does
let timer = null;

/** Asks how the training is, again and again. */
export async function watchTraining() {
  clearTimeout(timer);
  const before = project.training;
  if (project.view && !project.blocked) setProject({ training: await api.training().catch(() => before) });
  if (before.runs && newest(before) !== newest(project.training)) forgetProposals();
  const isWorking = await watchOrder();
  clearTimeout(timer);
  timer = setTimeout(watchTraining, project.training.state === "running" || isWorking ? PAUSE : WAIT);
}

/** Asks what to mark next; tells whether the network still looks at photographs. */
async function watchOrder() {
  if (!project.training.runs?.length || project.view !== "mark" || project.blocked) return false;
  const next = await api.next().catch(() => project.next);
  if (JSON.stringify(next) !== JSON.stringify(project.next)) setProject({ next });
  return next.network !== "" && next.mixed.length < next.of;
}

const newest = ({ runs, state: how, run }) => (how === "running" ? "" : `${runs?.[0]} ${how} ${run}`);

/** Photographs that are opened from now on get proposals from the new network. */
function forgetProposals() {
  for (const photo of state.photos) updatePhoto(photo, { predicted: undefined });
}

export const startTraining = (init, epochs) => begin(() => api.train({ init, epochs, go_on: false }));
export const continueTraining = (epochs) => begin(() => api.train({ init: "", epochs, go_on: true }));
export const stopTraining = () => change(api.stopTraining);

const begin = (request) => change(() => allSaved().then(request), "The training did not begin. ");

async function change(request, failed = "") {
  setError("");
  try {
    setProject({ training: await request() });
  } catch (error) {
    setError(failed + error.message);
  }
  watchTraining();
}

/** How long a training still takes, in words. */
export function timeLeft(seconds) {
  if (seconds === null) return "How long it takes is known after the second epoch.";
  const minutes = Math.ceil(seconds / 60);
  return seconds < 60 ? "Less than a minute left." : `About ${minutes} minute${minutes === 1 ? "" : "s"} left.`;
}

/** A warning if the newest network is of little use; empty otherwise.  @param {import("./api.js").Training} training */
export function warningOf({ runs, hardly_better: errors }) {
  if (!errors) return "";
  const [own, average] = [errors.error, errors.mean_shape].map(round);
  return `Network ${runs[0]} is hardly better than the average shape of your marks: its error on the validation photographs`
    + ` is ${own} ${errors.unit}, that of the average shape ${average}. Mark more photographs and train again, or raise the epochs and press Go on.`;
}

/** A number with three digits. */
export const round = (value) => Number(value.toPrecision(3)).toString();

/** The error of each epoch for training and validation: NME if points measure the size, otherwise the loss. */
export function errorsOf(rows) {
  const unit = rows[0]?.nme === undefined ? "loss" : "nme";
  const scale = unit === "nme" ? 100 : 1;
  const [training, validation] = [unit, `val_${unit}`].map((name) => rows.map((row) => scale * row[name]));
  return { training, validation, unit: unit === "nme" ? "% of the size" : "loss" };
}
