/** What the page needs when it is a site of static files: the camera, and everything kept for use without a network. */

import { connectCamera } from "./camera.js";

connectCamera();
// only pages on https or on localhost have one
navigator.serviceWorker?.register("sw.js").catch((error) => console.warn(`not kept for use offline: ${error.message}`));
