/** Sorting out the files that the user opens or drops. */

const PHOTOGRAPH = /\.(jpe?g|jpe|jfif|mpo|a?png|webp|tiff?|bmp|gif|p[bgnp]m|jp2|j2k|jp[fx]|avif|hei[cf]|hif|tga)$/i;
const LABELS = /\.xml$/i;

/**
 * @typedef {object} Selection
 * @property {?string} folder  the name of the opened folder; null for single files
 * @property {{file: File, name: string}[]} photographs  in the order of their names, which are relative to the folder
 * @property {{file: File, name: string}[]} labels  the XML files, the newest first
 * @property {string} skipped  how many files of each kind were left out, such as "2 .txt, 1 in drawn"
 */

/** @param {File[]} files  @returns {Selection} */
export function sortFiles(files) {
  const visible = [...files].filter((file) => !pathOf(file).split("/").some((part) => part.startsWith(".")));
  const sorted = visible.sort((one, other) => pathOf(one).localeCompare(pathOf(other), undefined, { numeric: true }));
  const photographs = sorted.filter((file) => isPhotograph(file) && !isDrawn(file));
  if (!photographs.length) throw new Error(`No photographs to open: ${(sorted[0] ?? files[0]).name} is not an image file.`);
  const [first, ...below] = pathOf(photographs[0]).split("/");
  const folder = below.length ? first : null;
  const named = (file) => ({ file, name: folder === null ? pathOf(file) : pathOf(file).slice(folder.length + 1) });
  const labels = sorted.filter((file) => LABELS.test(file.name)).sort((one, other) => other.lastModified - one.lastModified);
  const taken = new Set([...photographs, ...labels]);
  const skipped = kindsOf(sorted.filter((file) => !taken.has(file)));
  return { folder, photographs: photographs.map(named), labels: labels.map(named), skipped };
}

const isPhotograph = (file) => PHOTOGRAPH.test(file.name) || file.type.startsWith("image/");

/** Whether a file is in a folder of the pictures that `kp-tf predict` draws, below the folder that was opened. */
const isDrawn = (file) => pathOf(file).split("/").slice(1, -1).includes("drawn");

function kindsOf(files) {
  const counts = new Map();
  for (const file of files) {
    const kind = isDrawn(file) ? "in drawn" : (/\.[^.]+$/.exec(file.name)?.[0].toLowerCase() ?? "without a suffix");
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts].sort((one, other) => other[1] - one[1]).map(([kind, number]) => `${number} ${kind}`).join(", ");
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
