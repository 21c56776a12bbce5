/** A clip: it plays with its points, and its frames can be corrected one by one. */

import { asFaces, drawFrame, frameFile, nextFrame, readFrame } from "../live.js";
import { greyPicture } from "../pixels.js";
import { currentPhoto, setError } from "../state.js";
import { Tracker } from "../tracker.js";
import { correctFrame, frameNamed, framesOf } from "./frames.js";
import { loadPredictor } from "./network.js";
import { load } from "./opening.js";
import { project, setProject } from "./project.js";

const PROBED = 4; // frames that are played to learn how long one is
const USUAL = 1 / 30; // seconds of a frame, where a browser does not tell
const PATIENCE = 500; // milliseconds that a browser has to show a frame; then it shows none

const byId = (id) => document.getElementById(id);
const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true, preload: "auto" });

/** @type {?{name: string, url: string, predictor: import("../predictor.js").Predictor, step: number}} */
let clip = null;
let [at, faces] = [0, []]; // the time of the frame that is shown, and what is found in it
let [wanted, isShowing] = [null, false]; // the time to show next

/** Opens a clip in place of the one that is open.  @param {File} file */
export async function openClip(file) {
  closeClip();
  setError("");
  setProject({ view: "try" });
  const url = URL.createObjectURL(file);
  try {
    await ready(url);
    const name = file.name.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^\.+/, "");
    const own = { name: name || "clip", url, step: await frameLength(), predictor: await loadPredictor() };
    if (video.src !== url) return; // another was opened meanwhile
    clip = own;
  } catch (error) {
    if (video.src === url) closeClip();
    setError(error instanceof Error ? error.message : `${file.name} cannot be played. Browsers play MP4 with H.264, and WebM.`);
    return;
  }
  byId("clip-position").max = video.duration;
  setProject({ clip: clip.name });
  await show(0);
}

/** Loads a clip; rejects with what is no Error if the browser cannot play it. */
function ready(url) {
  return new Promise((resolve, reject) => {
    video.onloadeddata = () => (video.videoWidth ? resolve() : reject());
    video.onerror = () => reject();
    video.src = url;
  });
}

/** How long a frame is, from the first ones. */
async function frameLength() {
  if (!video.requestVideoFrameCallback) return USUAL;
  const times = [];
  await video.play();
  for (let time; times.length < PROBED && !video.ended && (time = await shownFrame()) !== null; ) times.push(time);
  video.pause();
  const lengths = times.slice(1).map((time, k) => time - times[k]).filter((length) => length > 0);
  return lengths.length ? Math.min(...lengths) : USUAL;
}

/** The time of the next frame that the video shows; null if there is none. */
function shownFrame() {
  return Promise.race([nextFrame(video), new Promise((resolve) => setTimeout(() => resolve(null), PATIENCE))]);
}

export function closeClip() {
  video.pause();
  if (clip) URL.revokeObjectURL(clip.url);
  video.removeAttribute("src");
  [clip, wanted, faces] = [null, null, []];
  setProject({ clip: "", returning: null });
}

/** Shows the frame at a time; while one is being shown, only the latest that was asked for follows. */
export async function show(seconds) {
  wanted = Math.min(Math.max(seconds, 0), video.duration);
  if (isShowing || !clip) return;
  isShowing = true;
  try {
    while (wanted !== null && clip) {
      const next = wanted;
      wanted = null;
      await seek(next);
      if (wanted === null && clip) await drawStill();
    }
  } catch (error) {
    setError(error.message);
  } finally {
    isShowing = false;
  }
}

async function seek(seconds) {
  const [shown, sought] = [nextFrame(video), new Promise((resolve) => (video.onseeked = resolve))];
  video.currentTime = seconds;
  await sought;
  const time = await Promise.race([shown, shownFrame()]);
  // A browser shows nothing new where the frame stays the same.
  at = time ?? (Math.abs(seconds - at) < clip?.step ? at : video.currentTime);
}

/** Draws the frame that is shown with the points of the project or, if it has none, with those of the network. */
async function drawStill() {
  const { predictor } = clip;
  const [image, photo] = [readFrame(video), frameNamed(frameName())];
  if (photo) await load(photo).catch(() => {});
  faces = photo?.faces?.length ? photo.faces : asFaces(await predictor.predict(greyPicture(image)), predictor.model);
  if (!clip) return;
  drawFrame(byId("clip-frame"), image, faces, predictor.model);
  report(photo?.faces?.length ? "The points of the project" : "");
}

/** Plays the clip to its end, or pauses it. */
export async function playOrPause() {
  if (!clip) return;
  if (!video.paused) {
    video.pause();
    return;
  }
  if (video.ended) await seek(0);
  const { predictor } = clip;
  const tracker = new Tracker(predictor, { findEvery: Infinity }); // a search would halt the picture
  try {
    await video.play();
    while (clip && !video.paused && !video.ended) {
      at = (await shownFrame()) ?? at;
      const image = readFrame(video);
      faces = asFaces(await tracker.update(greyPicture(image), at), predictor.model);
      if (!clip) return;
      drawFrame(byId("clip-frame"), image, faces, predictor.model);
      report("");
    }
    if (clip) await show(video.currentTime); // the very frame, with points that are not filtered
  } catch (error) {
    if (clip) setError(error.message);
  }
}

export const pauseClip = () => video.pause();

/** Goes to a neighbouring frame.  @param {1 | -1} offset */
export function step(offset) {
  if (!clip) return;
  video.pause();
  show((wanted ?? at) + (offset + 0.5) * clip.step); // its middle
}

const frameName = () => `${clip.name}-${String(Math.round(1000 * at)).padStart(7, "0")}.png`;

function report(words) {
  const found = faces.length ? `${faces.length} object${faces.length === 1 ? "" : "s"}` : "No object is found";
  setText("clip-status", words || (clip.predictor.model.shape ? found : "There is no network yet: mark frames to train one."));
  setText("clip-time", `${clock(at)} / ${clock(video.duration)}`);
  setText("clip-play", video.paused ? "Play" : "Pause");
  if (document.activeElement !== byId("clip-position") || !video.paused) byId("clip-position").value = at;
  byId("clip-position").setAttribute("aria-valuetext", clock(at));
}

const clock = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(2).padStart(5, "0")}`;

function setText(id, text) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
}

/** Makes the frame that is shown a photograph of the project, whose points are marked then. */
export async function correctShown() {
  if (!clip || isShowing) return;
  video.pause();
  try {
    const photo = await correctFrame(await frameFile(video, frameName()), faces);
    setProject({ returning: photo });
  } catch (error) {
    setError(error.message);
  }
}

/** Shows the clip again, after a frame of it was corrected. */
export async function returnToClip() {
  setProject({ view: "try" });
  if (clip) await show(at + 0.5 * clip.step);
}

/** Draws the panel of the clip. */
export function renderClip() {
  const isTrying = project.view === "try";
  byId("clip-view").hidden = !isTrying || !project.clip;
  byId("to-clip").hidden = !project.clip || project.returning !== currentPhoto();
  const frames = project.clip ? framesOf(project.clip) : [];
  byId("clip-frames").hidden = !frames.length;
  const key = JSON.stringify(frames.map(({ name, state }) => [name, state]));
  if (byId("clip-list").dataset.key === key) return;
  byId("clip-list").dataset.key = key;
  byId("clip-list").replaceChildren(...frames.map(({ name, state }) => {
    const seconds = Number(/(\d+)\.png$/.exec(name)[1]) / 1000;
    const button = Object.assign(document.createElement("button"), { textContent: `${state === "done" ? "●" : "○"} ${clock(seconds)}` });
    button.addEventListener("click", () => show(seconds + 0.5 * (clip?.step ?? 0)));
    return button;
  }));
}
