/** Drawing the current photograph with its boxes and points, as SVG in pixels of the photograph. */

import { pointColour } from "./colours.js";
import { boxCorners, labelSize, numberPosition } from "./geometry.js";
import { comparedFaces, currentPhoto, isHidden, state } from "./state.js";

const LABEL_SIZE = 11; // screen pixels
const FACE_NUMBER_SIZE = 15; // screen pixels
const SMALLEST_LABEL = 6; // smaller ones cannot be read and are left out

export const svg = document.getElementById("picture");
const image = svg.appendChild(element("image", { x: -0.5, y: -0.5 })); // kept, so that the browser decodes it once
const overlay = svg.appendChild(element("g", {}));

/** The size of one screen pixel in pixels of the photograph. */
export const screenPixel = () => 1 / (svg.getScreenCTM()?.a || 1);

/** Where in the photograph a pointer is.  @returns {import("./geometry.js").Point} */
export function positionOf(event) {
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  return [x, y];
}

/** Where on the screen a position in the photograph is.  @returns {import("./geometry.js").Point} */
export function onScreen([x, y]) {
  const place = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
  return [place.x, place.y];
}

/** @param {(photo: import("./state.js").Photo, pixel: number) => SVGElement[]} [more]  draws on top */
export function renderCanvas(more = () => []) {
  const photo = currentPhoto();
  svg.classList.toggle("drawing", Boolean(state.draftBox));
  svg.classList.toggle("waiting", !photo?.faces);
  if (!photo?.faces) {
    overlay.replaceChildren();
    if (photo?.failure) image.removeAttribute("href"); // otherwise the last picture stays, dimmed, until there is another
    return;
  }
  const { x, y, width, height } = state.view;
  svg.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
  if (image.getAttribute("href") !== photo.image.src) image.setAttribute("href", photo.image.src);
  image.setAttribute("width", photo.width);
  image.setAttribute("height", photo.height);
  const pixel = screenPixel();
  overlay.replaceChildren(
    ...comparedFaces(photo).flatMap((compared, index) => comparison(photo, photo.faces[index], compared, pixel)),
    ...photo.faces.map((face, index) => faceGroup(photo, face, index, pixel)),
    ...(state.draftBox ? [rectangle(state.draftBox, "draft")] : []),
    ...more(photo, pixel),
  );
}

/** Rings at the points of the compared network, joined to the points of the face. */
function comparison(photo, face, compared, pixel) {
  return compared.points.flatMap(([x, y], index) => {
    if (isHidden(photo, index)) return [];
    const ring = element("circle", { cx: x, cy: y, r: 5 * pixel, class: "ring" });
    const point = face.points[index];
    return point ? [element("line", { x1: point[0], y1: point[1], x2: x, y2: y, class: "offset" }), ring] : [ring];
  });
}

function faceGroup(photo, face, faceIndex, pixel) {
  const selected = faceIndex === state.faceIndex;
  const group = element("g", { class: selected ? "face selected" : "face" });
  const boxed = state.show.boxes && !face.unboxed;
  if (boxed) group.append(rectangle(face.box, "box shade"), rectangle(face.box, "box"));
  if (boxed && photo.faces.length > 1) group.append(faceNumber(photo.faces, faceIndex, pixel));
  const size = face.unboxed ? Infinity : face.box[2]; // the box of an unfinished object says nothing about its size
  const radius = Math.min(3.2 * pixel, Math.max(1.5 * pixel, size / 60)); // smaller in a small face
  const visible = face.points.map((point, index) => (isHidden(photo, index) ? null : point));
  const labels = []; // above all dots
  visible.forEach((point, index) => {
    if (!point) return;
    const chosen = selected && index === state.pointIndex;
    group.append(dot(point, pointColour(photo, face, index), chosen, chosen ? 5 * pixel : radius));
    if (!state.show.numbers) return;
    const size = chosen ? LABEL_SIZE * pixel : labelSize(visible, index, photo.names[index], LABEL_SIZE * pixel);
    if (size >= SMALLEST_LABEL * pixel) labels.push(label(point, photo.names[index], size, pixel));
  });
  group.append(...labels);
  if (selected && boxed && !state.draftBox) {
    group.append(...boxCorners(face.box).map((corner) => handle(corner, pixel)));
  }
  return group;
}

/** The number that the face has in the list and in the saved files, above its box. */
function faceNumber(faces, index, pixel) {
  const size = FACE_NUMBER_SIZE * pixel;
  const [x, y] = numberPosition(faces.map(({ box }) => box), index, size);
  const text = element("text", { x, y, "font-size": size, "stroke-width": 0.22 * size, class: "face-number" });
  text.textContent = index + 1;
  return text;
}

function dot([x, y], fill, selected, r) {
  return element("circle", { cx: x, cy: y, r, fill, class: selected ? "dot selected" : "dot" });
}

export function label([x, y], name, size, pixel) {
  const text = element("text", {
    x: x + 4 * pixel, y: y - 4 * pixel, "font-size": size, "stroke-width": 0.22 * size, class: "number",
  });
  text.textContent = name;
  return text;
}

function handle([x, y], pixel) {
  return element("rect", { x: x - 4 * pixel, y: y - 4 * pixel, width: 8 * pixel, height: 8 * pixel, class: "corner" });
}

function rectangle([left, top, width, height], className) {
  return element("rect", { x: left - 0.5, y: top - 0.5, width, height, class: className });
}

export function element(name, attributes) {
  const created = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) created.setAttribute(key, value);
  return created;
}
