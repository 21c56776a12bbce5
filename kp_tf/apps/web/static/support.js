/* Says plainly when a browser cannot show the page; in old JavaScript and no module, so that it runs there. */
(function () {
  function missing() {
    if (location.protocol === "file:") {
      return "This page does not work from a file. Put its folder on any web server, or run: python3 -m http.server";
    }
    var simd = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0,
      253, 15, 253, 98, 11]);
    var needed = {
      "JavaScript modules": "noModule" in document.createElement("script"),
      "WebAssembly with SIMD": typeof WebAssembly === "object" && WebAssembly.validate(simd),
      "compressed streams": typeof DecompressionStream === "function",
      "canvases off the screen": typeof OffscreenCanvas === "function",
      "Map.groupBy": typeof Map.groupBy === "function"
    };
    var names = Object.keys(needed).filter(function (name) { return !needed[name]; });
    return names.length ? "This browser is too old for this page: it has no " + names.join(", no ")
      + ". Chrome or Edge 117, Firefox 119 and Safari 17.4, or newer ones, have." : "";
  }
  document.addEventListener("DOMContentLoaded", function () {
    var text = missing();
    if (!text) return;
    var message = document.getElementById("unsupported");
    message.textContent = text;
    message.hidden = false;
  });
})();
