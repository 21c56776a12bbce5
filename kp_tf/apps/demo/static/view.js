/** Zoom: which part of the photograph is visible. */

import { scaleBox } from "./geometry.js";
import { currentFace, currentPhoto, setView, state } from "./state.js";

const MIN_WIDTH = 12; // pixels of the photograph that remain visible at the closest zoom

/** Shows the whole photograph. */
export function showAll() {
  const photo = currentPhoto();
  if (photo?.faces) showBox([0, 0, photo.width, photo.height]);
}

/** Shows the selected face with some space around it. */
export function showFace() {
  if (currentFace()) showBox(scaleBox(currentFace().box, 1.7));
}

const showBox = ([left, top, width, height]) => setView({ x: left - 0.5, y: top - 0.5, width, height });

/**
 * Scales the visible part about a point that stays where it is on the screen.
 *
 * @param {number} factor  less than 1 zooms in
 * @param {import("./geometry.js").Point} [centre]  by default the centre of the visible part
 */
export function zoom(factor, centre) {
  const photo = currentPhoto();
  if (!photo?.faces) return;
  const { x, y, width, height } = state.view;
  const [centreX, centreY] = centre ?? [x + width / 2, y + height / 2];
  const newWidth = Math.min(Math.max(width * factor, MIN_WIDTH), 2 * Math.max(photo.width, photo.height));
  const scale = newWidth / width;
  setView({
    x: centreX - (centreX - x) * scale,
    y: centreY - (centreY - y) * scale,
    width: newWidth,
    height: height * scale,
  });
}

export const zoomIn = () => zoom(0.8);
export const zoomOut = () => zoom(1.25);
