/** Labels of an earlier session. The server takes dlib's XML apart, and this module decides what belongs to which photograph. */

import * as api from "./api.js";

/**
 * @typedef {api.LabelFile & {name: string}} Labels  the XML files that were opened, as one
 *
 * @typedef {object} LabelledFace
 * @property {number} source  the number of its box among all boxes of the photograph's entries
 * @property {import("./geometry.js").Box} box  in pixels as stored
 * @property {Record<string, import("./geometry.js").Point>} points  by name, in pixels as stored
 */

/**
 * Reads XML files, the newest first, and joins them. Where two of them differ, the user is asked which one to follow.
 *
 * @param {{file: Blob, name: string}[]} files
 * @returns {Promise<{labels: ?Labels, problems: string[]}>}  a problem for each file that cannot be used
 */
export async function readLabels(files) {
  const [read, problems] = [[], []];
  for (const { file, name } of files) {
    try {
      read.push({ ...(await api.readLabels(file, name)), name });
    } catch (error) {
      if (error instanceof api.Unavailable) throw error; // labels must not be left out because the server is away
      problems.push(error.message);
    }
  }
  return { labels: read.length ? read.reduce(join) : null, problems };
}

/** @param {Labels} newer  @param {Labels} older  @returns {Labels} */
function join(newer, older) {
  const [inNewer, inOlder] = [newer, older].map(({ entries }) => Map.groupBy(entries, ({ file }) => pathKey(file)));
  const differs = (key) => inNewer.has(key) && textOf(inNewer.get(key)) !== textOf(inOlder.get(key));
  const different = [...inOlder.keys()].filter(differs);
  const question = `${newer.name} and ${older.name} differ for ${listed(different)}.\n\n`
    + `OK uses the labels of ${newer.name}, which is newer; Cancel those of ${older.name}.`;
  const replaced = new Set(different.length && !confirm(question) ? different : []);
  const kept = newer.entries.filter(({ file }) => !replaced.has(pathKey(file)));
  const added = older.entries.filter(({ file }) => replaced.has(pathKey(file)) || !inNewer.has(pathKey(file)));
  return { ...newer, entries: [...kept, ...added], name: `${newer.name} and ${older.name}` };
}

const textOf = (entries) => entries.map(({ text }) => text.replace(/\s+/g, " ")).join("");

const listed = ([first, ...others]) => (others.length ? `${first} and ${others.length} more` : first);

/**
 * Which entries belong to which photograph: those of its name, or of the same path written otherwise.
 *
 * @param {?Labels} labels
 * @param {string[]} names  of the photographs, relative to the opened folder
 * @returns {Map<string | undefined, api.Entry[]>}  by name; the entries that match no photograph are under undefined
 */
export function matchEntries(labels, names) {
  const [exact, similar] = [new Set(names), new Map(names.map((name) => [pathKey(name), name]))];
  const photographOf = (file) => (exact.has(file) ? file : similar.get(pathKey(file)));
  return Map.groupBy(labels?.entries ?? [], (entry) => entry.names.map(photographOf).find(Boolean));
}

/** A path without differences that do not matter: `.\d\p1.jpg` and `d/p1.jpg`, composed and decomposed umlauts. */
const pathKey = (path) => path.normalize("NFC").replaceAll("\\", "/").replace(/\/(\.?\/)+/g, "/").replace(/^(\.\/)+/, "");

/** The faces of a photograph's entries.  @param {api.Entry[]} entries  @returns {LabelledFace[]} */
export function labelledFaces(entries) {
  let earlier = 0; // boxes of the entries before
  return entries.flatMap(({ faces, boxes }) => {
    const first = earlier;
    earlier += boxes;
    return faces.map((face) => ({ ...face, source: first + face.source }));
  });
}

/**
 * The labels as the server saves them with the faces of some photographs replaced.
 *
 * @param {?Labels} labels
 * @param {import("./state.js").Photo[]} photos  those whose faces replace their entries
 */
export function labelsToSave(labels, photos) {
  if (!labels) return null;
  const replaced = new Map(photos.flatMap(({ entries, name }) => entries.map((entry) => [entry, name])));
  const { head, entries, tail } = labels;
  const texts = entries.map((entry) => ({ lead: entry.lead, text: entry.text, photograph: replaced.get(entry) ?? null }));
  return { head, entries: texts, tail };
}
