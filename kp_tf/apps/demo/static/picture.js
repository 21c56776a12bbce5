/** The photograph with what is drawn on it, as a file. */

import { pointColour } from "./colours.js";
import { labelSize, numberPosition } from "./geometry.js";
import { isHidden, state } from "./state.js";

const SMALLEST_FACE_NUMBER = 12; // pixels
const SMALLEST_LABEL = 6; // pixels; smaller numbers cannot be read and are left out

/** A JPEG of the photograph in its own size, with the boxes, points and numbers that are shown.  @returns {Promise<Blob>} */
export function drawPicture(photo) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [photo.width, photo.height];
  const context = canvas.getContext("2d");
  context.drawImage(photo.image, 0, 0);
  context.translate(0.5, 0.5); // (0, 0) is the centre of the top left pixel
  for (const face of photo.faces) drawFace(context, photo, face);
  if (state.show.boxes && photo.faces.length > 1) drawFaceNumbers(context, photo.faces);
  return new Promise((resolve, reject) => {
    const finish = (blob) => (blob ? resolve(blob) : reject(new Error("This browser cannot save so large a picture.")));
    canvas.toBlob(finish, "image/jpeg", 0.92);
  });
}

function drawFaceNumbers(context, faces) {
  faces.forEach(({ box: [, , width, height] }, index) => {
    const size = Math.max(SMALLEST_FACE_NUMBER, Math.max(width, height) / 8);
    drawNumber(context, numberPosition(faces.map(({ box }) => box), index, size), index + 1, size, 0);
  });
}

/**
 * Draws a box and points, with lines, dots and numbers in proportion to the face.
 *
 * @param {number} [smallest]  radius of a dot, in pixels
 */
export function drawFace(context, photo, face, smallest = 0.75) {
  const [left, top, width, height] = face.box;
  const size = Math.max(width, height);
  context.lineWidth = Math.max(1, size / 150);
  context.strokeStyle = "#ffffff";
  if (state.show.boxes) context.strokeRect(left - 0.5, top - 0.5, width, height);
  const visible = face.points.map((point, index) => (isHidden(photo, index) ? null : point));
  visible.forEach((point, index) => {
    if (!point) return;
    context.strokeStyle = "#000000";
    context.lineWidth = size / 330;
    context.fillStyle = pointColour(photo, face, index);
    drawDot(context, point, Math.max(smallest, size / 110));
  });
  if (state.show.numbers) drawPointNames(context, visible, photo.names, size);
}

function drawPointNames(context, points, names, faceSize) {
  points.forEach((point, index) => {
    if (!point) return;
    const textSize = labelSize(points, index, names[index], faceSize / 28);
    if (textSize >= SMALLEST_LABEL) drawNumber(context, point, names[index], textSize, faceSize / 80);
  });
}

function drawNumber(context, [x, y], name, size, offset) {
  context.font = `${size}px sans-serif`;
  context.fillStyle = "#ffffff";
  context.lineWidth = 0.22 * size;
  context.lineJoin = "round";
  context.strokeText(name, x + offset, y - offset);
  context.fillText(name, x + offset, y - offset);
}

function drawDot(context, [x, y], radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
}
