/** The photograph with what is drawn on it, as a file. */

import { pointColour } from "./colours.js";
import { isHidden, state } from "./state.js";

/** A JPEG of the photograph in its own size, with the boxes, points and numbers that are shown.  @returns {Promise<Blob>} */
export function drawPicture(photo) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [photo.width, photo.height];
  const context = canvas.getContext("2d");
  context.drawImage(photo.image, 0, 0);
  context.translate(0.5, 0.5); // (0, 0) is the centre of the top left pixel
  for (const face of photo.faces) drawFace(context, photo, face);
  return new Promise((resolve, reject) => {
    const finish = (blob) => (blob ? resolve(blob) : reject(new Error("This browser cannot save so large a picture.")));
    canvas.toBlob(finish, "image/jpeg", 0.92);
  });
}

function drawFace(context, photo, face) {
  const [left, top, width, height] = face.box;
  const size = Math.max(width, height);
  context.lineWidth = Math.max(1, size / 150);
  context.strokeStyle = "#ffffff";
  if (state.show.boxes) context.strokeRect(left - 0.5, top - 0.5, width, height);
  context.lineWidth = Math.max(0.5, size / 330);
  context.strokeStyle = "#000000";
  context.font = `${Math.max(8, size / 28)}px sans-serif`;
  face.points.forEach((point, index) => {
    if (!point || isHidden(photo, index)) return;
    context.fillStyle = pointColour(photo, face, index);
    drawDot(context, point, Math.max(1.5, size / 110));
    if (state.show.numbers) context.fillText(photo.names[index], point[0] + size / 70, point[1] - size / 70);
  });
}

function drawDot(context, [x, y], radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
}
