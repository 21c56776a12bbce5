/** Drawing the current photograph with its boxes and points, as SVG in pixels of the photograph. */

import { pointColour } from "./colours.js";
import { boxCorners } from "./geometry.js";
import { comparedFaces, currentPhoto, isHidden, state } from "./state.js";

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

export function renderCanvas() {
  const photo = currentPhoto();
  svg.classList.toggle("drawing", Boolean(state.draftBox));
  if (!photo?.faces) {
    image.removeAttribute("href");
    overlay.replaceChildren();
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
  if (state.show.boxes) group.append(rectangle(face.box, "box shade"), rectangle(face.box, "box"));
  face.points.forEach((point, index) => {
    if (!point || isHidden(photo, index)) return;
    group.append(dot(point, pointColour(photo, face, index), selected && index === state.pointIndex, pixel));
    if (state.show.numbers) group.append(label(point, photo.names[index], pixel));
  });
  if (selected && state.show.boxes && !state.draftBox) {
    group.append(...boxCorners(face.box).map((corner) => handle(corner, pixel)));
  }
  return group;
}

function dot([x, y], fill, selected, pixel) {
  return element("circle", { cx: x, cy: y, r: (selected ? 5 : 3.2) * pixel, fill, class: selected ? "dot selected" : "dot" });
}

function label([x, y], name, pixel) {
  const text = element("text", {
    x: x + 5 * pixel, y: y - 5 * pixel, "font-size": 11 * pixel, "stroke-width": 2.5 * pixel, class: "number",
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

function element(name, attributes) {
  const created = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) created.setAttribute(key, value);
  return created;
}
