// The OpenID Provider's frame (Session Management 1.0, sections 3.1 and 3.2): is this session state still the browser's?
(() => {
  "use strict";
  const name = document.body.dataset.cookie + "=";
  const browserState = () => {
    const found = document.cookie.split("; ").find((cookie) => cookie.startsWith(name));
    return found ? found.slice(name.length) : "";
  };
  // SHA-256 (FIPS 180-4) by hand: `crypto.subtle` is missing in a frame of a page without TLS.
  const cubes = [], roots = [], fraction = (value) => ((value - Math.floor(value)) * 4294967296) | 0;
  for (let n = 2; cubes.length < 64; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
    if (!prime) continue;
    if (roots.length < 8) roots.push(fraction(Math.sqrt(n)));
    cubes.push(fraction(Math.cbrt(n)));
  }
  const sha256 = (text) => {
    const data = new TextEncoder().encode(text);
    const padded = new Uint8Array(((data.length + 8) >> 6) * 64 + 64);
    padded.set(data);
    padded[data.length] = 128;
    const view = new DataView(padded.buffer);
    view.setUint32(padded.length - 4, data.length * 8);
    const sum = roots.slice(), w = new Int32Array(64), turn = (x, by) => (x >>> by) | (x << (32 - by));
    for (let at = 0; at < padded.length; at += 64) {
      for (let i = 0; i < 64; i++) {
        if (i < 16) {
          w[i] = view.getInt32(at + 4 * i);
          continue;
        }
        const x = w[i - 15], y = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
      }
      let [a, b, c, d, e, f, g, h] = sum;
      for (let i = 0; i < 64; i++) {
        const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + cubes[i] + w[i]) | 0;
        const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
      }
      [a, b, c, d, e, f, g, h].forEach((value, i) => (sum[i] = (sum[i] + value) | 0));
    }
    return sum.map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  };
  addEventListener("message", (event) => {
    if (!event.source || event.source === window || event.origin === "null") return;
    const parts = typeof event.data === "string" ? /^(.+) ([^ .]+)\.([^ .]+)$/.exec(event.data) : null;
    let answer = "error";
    if (parts) {
      const [, client, hash, salt] = parts;
      answer = sha256([client, event.origin, browserState(), salt].join(" ")) === hash ? "unchanged" : "changed";
    }
    event.source.postMessage(answer, event.origin);
  });
})();
