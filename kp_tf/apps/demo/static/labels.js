/**
 * Labels of an earlier session, read from dlib's XML.
 *
 * @typedef {object} LabelledFace
 * @property {import("./geometry.js").Box} box  in pixels as stored
 * @property {Map<string, import("./geometry.js").Point>} points  by name, in pixels as stored
 *
 * @typedef {Map<string, LabelledFace[]>} Labels  by the path of the photograph relative to the opened folder
 */

/**
 * @param {string} text
 * @param {string} path  of the XML relative to the opened folder
 * @returns {Labels}
 */
export function parseLabels(text, path) {
  const xml = new DOMParser().parseFromString(text, "application/xml");
  if (xml.querySelector("parsererror")) throw new Error(`cannot read ${path}: the XML is damaged`);
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  const images = [...xml.querySelectorAll("images > image")];
  return new Map(images.map((image) => [folder + image.getAttribute("file"), parseFaces(image)]));
}

function parseFaces(image) {
  return [...image.querySelectorAll("box")].filter((box) => !isIgnored(box)).map((box) => ({
    box: numbers(box, "left", "top", "width", "height"),
    points: new Map([...box.querySelectorAll("part")].map((part) => [part.getAttribute("name"), numbers(part, "x", "y")])),
  }));
}

const isIgnored = (box) => ["1", "true"].includes(box.getAttribute("ignore"));

const numbers = (element, ...names) => names.map((name) => Number(element.getAttribute(name)));
