/** Frames of a video with the points in them. */

import { confidenceOf } from "./confidence.js";
import { drawFace } from "./picture.js";

const DOT = 1 / 240; // radius of the smallest dots, in widths of the frame

const source = new OffscreenCanvas(1, 1);
const context = source.getContext("2d", { willReadFrequently: true });

/** The frame that a video shows.  @param {HTMLVideoElement} video  @returns {ImageData} */
export function readFrame(video) {
  const { videoWidth: width, videoHeight: height } = video;
  if (source.width !== width || source.height !== height) [source.width, source.height] = [width, height];
  context.drawImage(video, 0, 0);
  return context.getImageData(0, 0, width, height);
}

/** The next frame of a video, or of the screen where a browser does not tell; with its time in a clip, if that is known. */
export function nextFrame(video) {
  if (!video.requestVideoFrameCallback) return new Promise((resolve) => requestAnimationFrame(() => resolve(video.currentTime)));
  return new Promise((resolve) => video.requestVideoFrameCallback((_, { mediaTime }) => resolve(mediaTime)));
}

/**
 * Draws a frame and its faces.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {ImageData} image
 * @param {import("./state.js").Face[]} faces
 * @param {import("./predictor.js").Model} model
 */
export function drawFrame(canvas, image, faces, model) {
  if (canvas.width !== image.width || canvas.height !== image.height) {
    [canvas.width, canvas.height] = [image.width, image.height];
  }
  const target = canvas.getContext("2d");
  target.resetTransform();
  target.putImageData(image, 0, 0);
  target.translate(0.5, 0.5); // (0, 0) is the centre of the top left pixel
  for (const face of faces) drawFace(target, model, face, DOT * image.width);
}

/** Tracked or predicted faces as the page has them.  @returns {import("./state.js").Face[]} */
export const asFaces = (found, { calibration }) => found.map(({ box, points, variance }) => (
  { box, points, confidence: confidenceOf(variance, calibration) }
));

/** A frame as a file.  @param {HTMLVideoElement} video  @param {string} name  @returns {Promise<File>} */
export async function frameFile(video, name) {
  const frame = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  frame.getContext("2d").drawImage(video, 0, 0);
  return new File([await frame.convertToBlob({ type: "image/png" })], name, { type: "image/png" });
}
