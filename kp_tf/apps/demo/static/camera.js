/** The camera: live points in its frames, which are drawn on the stage and never leave the page. */

import { mean } from "./confidence.js";
import { asFaces, drawFrame, frameFile, nextFrame, readFrame } from "./live.js";
import { counted } from "./noun.js";
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

/**
 * @typedef {object} Use
 * @property {() => Promise<import("./predictor.js").Predictor>} load  the predictor of the frames
 * @property {(frame: File) => void} take  a frame that is to be corrected
 * @property {(model: import("./predictor.js").Model) => string} looking  what is said while none is found
 */

/** @type {Use} */
let use = null;

/** Connects the controls of the camera.  @param {Use} chosen */
export function connectCamera(chosen) {
  use = chosen;
  canvas.id = "live";
  byId("camera-view").prepend(canvas);
  byId("camera").addEventListener("click", () => (stream ? stopCamera() : start()));
  byId("camera-stop").addEventListener("click", stopCamera);
  byId("camera-shot").addEventListener("click", takePicture);
  byId("camera-turn").addEventListener("click", () => {
    facing = facing === "user" ? "environment" : "user";
    return start();
  });
  document.addEventListener("visibilitychange", () => document.hidden && stopCamera());
}

async function start() {
  stopCamera();
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
    await follow(own, await use.load());
  } catch (error) {
    if (own !== stream) return; // stopped meanwhile
    stopCamera();
    setError(`The camera cannot be used: ${error.message}`);
  }
}

function reasonOf(error) {
  const reasons = {
    NotAllowedError: "the browser has not been given permission",
    NotFoundError: "no camera was found",
    NotReadableError: "another program is using it",
  };
  return reasons[error.name] ?? error.message;
}

export function stopCamera() {
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
  const times = [];
  let next = nextFrame(video);
  while (own === stream) {
    await next;
    next = nextFrame(video); // asked for now, so that none is missed that comes meanwhile
    const image = readFrame(video);
    const seconds = performance.now() / 1000;
    const faces = asFaces(await tracker.update(greyPicture(image), seconds), predictor.model);
    if (own !== stream) return;
    drawFrame(canvas, image, faces, predictor.model);
    times.push(seconds);
    while (times[0] < seconds - RATE_OVER) times.shift();
    report(faces, times, predictor.model);
  }
}

function report(faces, times, model) {
  const rate = times.length > 1 ? Math.round((times.length - 1) / (times.at(-1) - times[0])) : 0;
  const sure = faces.map(({ confidence }) => Math.round(100 * mean(confidence)));
  say("camera-status", faces.length ? counted(faces.length) : use.looking(model));
  const details = model.calibration ? `confidence ${sure.join(", ")} %, ${rate} frames a second` : `${rate} frames a second`;
  say("camera-rate", faces.length ? details : "");
}

/** Leaves equal text alone, so that screen readers do not repeat it. */
function say(id, text) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
}

/** Takes the frame that is shown as a photograph, to be corrected and saved. */
async function takePicture() {
  const name = `camera-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.png`;
  const file = await frameFile(video, name);
  stopCamera();
  await use.take(file);
}
