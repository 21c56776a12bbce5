/** The pictures of photographs, as the browser shows them. */

import * as api from "./api.js";

/**
 * @param {import("./state.js").Photo} photo
 * @param {import("./api.js").Prediction} prediction
 * @returns {Promise<HTMLImageElement>}  upright, in the photograph's size
 */
export async function readImage({ file, name }, { width, height, orientation }) {
  const image = await decode(file).catch(() => null);
  // Browsers differ in the formats they open and in whether they follow EXIF; the server converts the rest.
  if (image && orientation === 1 && image.naturalWidth === width && image.naturalHeight === height) return image;
  if (image) URL.revokeObjectURL(image.src);
  return decode(await api.preview(file, name));
}

async function decode(blob) {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  try {
    await image.decode();
  } catch (error) {
    URL.revokeObjectURL(image.src);
    throw error;
  }
  return image;
}
