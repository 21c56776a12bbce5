/** The grey pixels of photographs and frames, as Pillow makes them. */

const MAX_PIXELS = 16_000_000; // that every browser can draw; larger photographs are reduced

/**
 * Decodes a photograph, upright by its EXIF orientation and over white.
 *
 * @param {Blob} file
 * @param {string} name  for messages
 * @returns {Promise<{picture: import("./crop.js").Picture, scale: number, width: number, height: number}>}  the size of
 *   the photograph, and the picture, which is smaller by `scale` if the photograph is very large
 */
export async function readPicture(file, name) {
  if (!file.size) throw new Error(`cannot read ${name}: the file is empty`);
  // Colours stay as stored, whatever profile the file has: the network was trained on such.
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" }).catch(() => null);
  if (!bitmap) throw new Error(`cannot read ${name}: it is not an image that this browser can open`);
  const { width, height } = bitmap;
  const scale = Math.min(1, Math.sqrt(MAX_PIXELS / (width * height)));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const picture = greyPicture(context.getImageData(0, 0, canvas.width, canvas.height));
  return { picture, scale: canvas.width / width, width, height };
}

/** @param {ImageData} image  @returns {import("./crop.js").Picture} */
export function greyPicture({ data, width, height }) {
  const grey = new Uint8Array(width * height);
  for (let k = 0, at = 0; k < grey.length; k += 1, at += 4) {
    grey[k] = (data[at] * 19595 + data[at + 1] * 38470 + data[at + 2] * 7471 + 0x8000) >> 16;
  }
  return { grey, width, height };
}
