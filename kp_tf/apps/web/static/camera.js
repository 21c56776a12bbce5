/** The camera: live points in its frames, which are drawn on the stage and never leave the page. */

import { confidenceOf, mean } from "./confidence.js";
import { loadPredictors } from "./model.js";
import { openFiles } from "./photographs.js";
import { drawFace } from "./picture.js";
import { greyPicture } from "./pixels.js";
import { setError } from "./state.js";
import { Tracker } from "./tracker.js";

const SIZE = { width: { ideal: 640 }, height: { ideal: 480 } };
const RATE_OVER = 1; // seconds over which frames are counted

const byId = (id) => document.getElementById(id);
const canvas = document.createElement("canvas");
const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });

/** @type {?MediaStream} */
let stream = null;
let facing = "user";

/** Connects the controls of the camera. */
export function connectCamera() {
  canvas.id = "live";
  byId("camera-view").prepend(canvas);
  byId("camera").addEventListener("click", () => (stream ? stop() : start()));
  byId("camera-stop").addEventListener("click", stop);
  byId("camera-shot").addEventListener("click", takePicture);
  byId("camera-turn").addEventListener("click", () => {
    facing = facing === "user" ? "environment" : "user";
    return start();
  });
  for (const id of ["files", "folder"]) byId(id).addEventListener("change", stop);
  document.addEventListener("visibilitychange", () => document.hidden && stop());
}

async function start() {
  stop();
  setError("");
  try {
    if (!navigator.mediaDevices) throw new Error("a browser gives a page the camera only over https or on localhost");
    stream = await navigator.mediaDevices.getUserMedia({ video: { ...SIZE, facingMode: facing }, audio: false });
  } catch (error) {
    setError(`The camera cannot be used: ${reasonOf(error)}.`);
    return;
  }
  const own = stream;
  show(true);
  const { deviceId } = own.getVideoTracks()[0].getSettings();
  const cameras = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
  byId("camera-turn").hidden = cameras.every((camera) => camera.deviceId === deviceId);
  video.srcObject = own;
  try {
    await video.play();
    await follow(own, (await loadPredictors()).live);
  } catch (error) {
    if (own !== stream) return; // stopped meanwhile
    stop();
    setError(`The camera cannot be used: ${error.message}`);
  }
}

function reasonOf(error) {
  const reasons = {
    NotAllowedError: "the browser has not been given permission",
    NotFoundError: "there is none",
    NotReadableError: "another program is using it",
  };
  return reasons[error.name] ?? error.message;
}

function stop() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  video.srcObject = null;
  show(false);
}

function show(isOn) {
  document.body.classList.toggle("live", isOn);
  canvas.classList.toggle("mirrored", facing === "user"); // as people know themselves
  byId("camera-view").hidden = !isOn;
  byId("camera").setAttribute("aria-pressed", isOn);
  say("camera-status", isOn ? "Starting the camera …" : "");
  say("camera-rate", "");
}

/** Predicts and draws frame after frame until the camera is stopped. */
async function follow(own, predictor) {
  const options = predictor.model.detector ? {} : { findEvery: Infinity }; // a search would halt the picture
  const tracker = new Tracker(predictor, options);
  const source = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  const context = source.getContext("2d", { willReadFrequently: true });
  const times = [];
  while (own === stream) {
    await nextFrame();
    if (source.width !== video.videoWidth) [source.width, source.height] = [video.videoWidth, video.videoHeight];
    context.drawImage(video, 0, 0);
    const image = context.getImageData(0, 0, source.width, source.height);
    const seconds = performance.now() / 1000;
    const faces = await tracker.update(greyPicture(image), seconds);
    if (own !== stream) return;
    draw(image, faces, predictor.model);
    times.push(seconds);
    while (times[0] < seconds - RATE_OVER) times.shift();
    report(faces, times, predictor.model);
  }
}

/** The next frame of the video, or of the screen where a browser does not tell. */
function nextFrame() {
  if (!video.requestVideoFrameCallback) return new Promise(requestAnimationFrame);
  return new Promise((resolve) => video.requestVideoFrameCallback(resolve));
}

function draw(image, faces, model) {
  if (canvas.width !== image.width || canvas.height !== image.height) {
    [canvas.width, canvas.height] = [image.width, image.height];
  }
  const context = canvas.getContext("2d");
  context.resetTransform();
  context.putImageData(image, 0, 0);
  context.translate(0.5, 0.5); // (0, 0) is the centre of the top left pixel
  for (const { box, points, variance } of faces) {
    drawFace(context, model, { box, points, confidence: confidenceOf(variance, model.calibration) });
  }
}

function report(faces, times, { calibration }) {
  const rate = times.length > 1 ? Math.round((times.length - 1) / (times.at(-1) - times[0])) : 0;
  const sure = faces.map(({ variance }) => Math.round(100 * mean(confidenceOf(variance, calibration))));
  const found = faces.length === 1 ? "1 face" : `${faces.length} faces`;
  say("camera-status", faces.length ? found : "Looking for a face. Come closer, and face the camera.");
  const details = calibration ? `confidence ${sure.join(", ")} %, ${rate} frames a second` : `${rate} frames a second`;
  say("camera-rate", faces.length ? details : "");
}

/** Leaves equal text alone, so that screen readers do not repeat it. */
function say(id, text) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
}

/** Opens the frame that is shown as a photograph, to be corrected and saved. */
async function takePicture() {
  const source = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  source.getContext("2d").drawImage(video, 0, 0);
  const blob = await source.convertToBlob({ type: "image/png" });
  stop();
  const name = `camera-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.png`;
  await openFiles([new File([blob], name, { type: "image/png" })]);
}
