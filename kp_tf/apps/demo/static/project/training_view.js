/** The panel of a training: its controls, its errors by epoch, and the validation photographs. */

import { state } from "../state.js";
import { load } from "./opening.js";
import { project } from "./project.js";
import { continueTraining, errorsOf, round, startTraining, stopTraining, timeLeft, warningOf } from "./training.js";

const byId = (id) => document.getElementById(id);
const SIDE = 320; // pixels of a validation photograph
const FEWEST = 2; // photographs
const USEFUL = 20; // likewise
const STATES = { finished: "The training is finished.", stopped: "The training was stopped." };

const epochs = () => Math.round(byId("train-epochs").valueAsNumber);

export function connectTraining() {
  byId("train-epochs").addEventListener("input", renderTraining);
  byId("train-start").addEventListener("click", () => startTraining(byId("train-init").value, epochs()));
  byId("train-on").addEventListener("click", () => continueTraining(epochs()));
  byId("train-stop").addEventListener("click", stopTraining);
}

export function renderTraining() {
  const shown = project.view === "train";
  byId("gallery").hidden = !shown;
  if (!shown) return;
  const { training } = project;
  const finished = state.photos.filter((photo) => photo.state === "done").length;
  const kept = Math.max(1, Math.round(finished / 10));
  const running = training.state === "running";
  const words = finished < FEWEST
    ? `Mark all points in at least ${FEWEST} photographs first.`
    : `${finished} photographs are marked. The network learns from ${finished - kept}; ${kept} ${kept === 1 ? "is" : "are"} kept to measure its error.`;
  setText(byId("train-hint"), finished < USEFUL ? `${words} ${USEFUL} or more give a useful network.` : words);
  byId("train-start").disabled = running || finished < FEWEST;
  byId("train-stop").hidden = !running;
  byId("train-on").hidden = running || !training.rows?.length;
  const isDone = training.state === "finished" && epochs() <= training.rows.length;
  byId("train-on").disabled = isDone;
  byId("train-on-hint").hidden = byId("train-on").hidden;
  renderInit(training.runs ?? []);
  byId("train-progress").hidden = training.state === "none";
  if (training.state !== "none") renderProgress(training, running);
  setText(byId("train-warning"), running ? "" : warningOf(training));
  renderGallery(training);
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function renderInit(runs) {
  const select = byId("train-init");
  const key = JSON.stringify(runs);
  if (select.dataset.runs === key) return;
  select.dataset.runs = key;
  const own = runs.map((run) => new Option(`network ${run} of this project`, run));
  select.replaceChildren(new Option("the network for faces", "compact"), ...own, new Option("nothing", ""));
  select.value = runs[0] ?? "compact"; // the newest
}

function renderProgress({ run, rows, epochs, message, seconds_left: left, state: how, has_begun: hasBegun }, running) {
  setText(byId("train-run"), `Network ${run}`);
  const beginning = hasBegun
    ? "The first epoch is running. It takes longer than the others, because the network is prepared in it …"
    : "Loading TensorFlow and the photographs. This takes a moment …";
  const now = rows.length ? `Epoch ${rows.length} of ${epochs} is done. ${timeLeft(left)}` : beginning;
  const [count, are] = rows.length === 1 ? ["1 epoch", "is"] : [`${rows.length} epochs`, "are"];
  const reason = message.replace(/^error: /, "") || `see runs/${run}.log`;
  const failed = `The training failed${rows.length ? ` after ${count}` : ""}: ${reason}`;
  setText(byId("train-state"), running ? now : how === "failed" ? failed : `${STATES[how]} ${count} ${are} done.`);
  Object.assign(byId("train-bar"), { max: epochs, value: rows.length });
  byId("train-bar").hidden = !running;
  drawPlot(rows, epochs);
}

/** Errors by epoch, from 0 to the largest of validation. */
function drawPlot(rows, epochs) {
  const { training, validation, unit } = errorsOf(rows);
  byId("plot").toggleAttribute("hidden", !rows.length);
  setText(byId("plot-text"), rows.length ? errorsInWords(rows) : "");
  const top = Math.max(...validation, ...training.slice(1)) || 1;
  const low = Math.min(0, ...validation, ...training);
  const [left, bottom, width, height] = [34, 150, 260, 140];
  const at = (value, index) => [
    left + (width * (index + 1)) / Math.max(epochs, rows.length), bottom - (height * Math.min(value - low, top - low)) / (top - low),
  ].map((number) => number.toFixed(1)).join(",");
  const line = (values, kind) => shape("polyline", { points: values.map(at).join(" "), class: kind });
  byId("plot").replaceChildren(
    shape("line", { x1: left, y1: bottom, x2: left + width, y2: bottom, class: "axis" }),
    shape("line", { x1: left, y1: bottom, x2: left, y2: bottom - height, class: "axis" }),
    text(left - 4, bottom, round(low), "end"), text(left - 4, bottom - height + 8, round(top), "end"),
    text(left, bottom + 14, "0", "middle"), text(left + width, bottom + 14, `${epochs} epochs`, "end"),
    line(training, "training"), line(validation, "validation"),
  );
}

function errorsInWords(rows) {
  const { training, validation, unit } = errorsOf(rows);
  const losses = rows.map((row) => row.val_loss);
  const best = losses.indexOf(Math.min(...losses));
  const last = `Error in ${unit} after epoch ${rows.length}: ${round(validation.at(-1))} on validation (blue), ${round(training.at(-1))}`
    + " on the distorted training photographs (grey).";
  const kept = ` The network of epoch ${best + 1}, which has the lowest loss, is kept, with ${round(validation[best])} on validation.`;
  return best === rows.length - 1 ? last : last + kept;
}

function shape(name, attributes) {
  const created = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) created.setAttribute(key, value);
  return created;
}

function text(x, y, words, anchor) {
  return Object.assign(shape("text", { x, y, "text-anchor": anchor }), { textContent: words });
}

let drawn = ""; // what the gallery shows

/** The validation photographs with the points of the last epoch. */
async function renderGallery({ state: how, run, progress }) {
  const key = `${run} ${progress?.epoch} ${how === "none"}`;
  if (key === drawn) return;
  drawn = key;
  const gallery = byId("gallery");
  if (!progress) {
    const words = how === "none" ? "The points that the network finds appear here after each epoch." : "The first epoch is not done yet.";
    gallery.replaceChildren(Object.assign(document.createElement("p"), { textContent: words }));
    return;
  }
  const title = Object.assign(document.createElement("p"), {
    textContent: `Photographs kept for validation, after epoch ${progress.epoch}: points of the network (yellow) and yours (white rings).`,
  });
  const figures = [];
  for (const face of progress.faces) figures.push(await drawFace(face));
  if (key === drawn) gallery.replaceChildren(title, ...figures.filter(Boolean));
}

async function drawFace({ file, window: [left, top, width, height], points, labels }) {
  const photo = state.photos.find(({ name }) => name === file);
  await (photo && load(photo).catch(() => {}));
  if (!photo?.image) return null;
  const canvas = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
  const context = canvas.getContext("2d");
  const scale = SIDE / Math.max(width, height);
  context.drawImage(photo.image, left, top, width, height, 0, 0, width * scale, height * scale);
  const onCanvas = ([x, y]) => [(x + 0.5 - left) * scale, (y + 0.5 - top) * scale];
  for (const label of labels) if (label) circle(context, onCanvas(label), 5, null);
  for (const point of points) if (point) circle(context, onCanvas(point), 3, "#f0e442");
  const figure = document.createElement("figure");
  figure.append(canvas, Object.assign(document.createElement("figcaption"), { textContent: file }));
  return figure;
}

function circle(context, [x, y], radius, fill) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.lineWidth = fill ? 1 : 1.5;
  context.strokeStyle = fill ? "#000" : "#fff";
  if (fill) {
    context.fillStyle = fill;
    context.fill();
  }
  context.stroke();
}
