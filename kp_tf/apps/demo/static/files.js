/** Sorting out the files that the user opens or drops. */

const PHOTOGRAPH = /\.(jpe?g|jpe|png|bmp|gif|tiff?|webp|ppm|pgm|hei[cf]|avif)$/i;
const LABELS = /\.xml$/i;

/**
 * @typedef {object} Selection
 * @property {?string} folder  the name of the opened folder; null for single files
 * @property {{file: File, name: string}[]} photographs  in the order of their names, which are relative to the folder
 * @property {{file: File, name: string}[]} labels  the XML files, the newest first
 */

/** @param {File[]} files  @returns {Selection} */
export function sortFiles(files) {
  const sorted = [...files].sort((one, other) => pathOf(one).localeCompare(pathOf(other), undefined, { numeric: true }));
  const photographs = sorted.filter((file) => PHOTOGRAPH.test(file.name) || file.type.startsWith("image/"));
  if (!photographs.length) throw new Error(`No photographs to open: ${sorted[0].name} is not an image file.`);
  const [first, ...below] = pathOf(photographs[0]).split("/");
  const folder = below.length ? first : null;
  const named = (file) => ({ file, name: folder === null ? pathOf(file) : pathOf(file).slice(folder.length + 1) });
  const labels = sorted.filter((file) => LABELS.test(file.name)).sort((one, other) => other.lastModified - one.lastModified);
  return { folder, photographs: photographs.map(named), labels: labels.map(named) };
}

const pathOf = (file) => file.path ?? (file.webkitRelativePath || file.name);

/**
 * The files of a drop, those in folders included; `path` tells where in the folder a file lies.
 *
 * @param {DataTransfer} transfer
 * @returns {Promise<File[]>}
 */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  return (await Promise.all(entries.map((entry) => filesOf(entry, false)))).flat();
}

async function filesOf(entry, inFolder) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return inFolder ? [Object.assign(file, { path: entry.fullPath.slice(1) })] : [file];
  }
  const reader = entry.createReader();
  const files = [];
  for (let entries; (entries = await readEntries(reader)).length; ) { // a folder comes in batches
    for (const inner of entries) files.push(...(await filesOf(inner, true)));
  }
  return files;
}

const readEntries = (reader) => new Promise((resolve, reject) => reader.readEntries(resolve, reject));
