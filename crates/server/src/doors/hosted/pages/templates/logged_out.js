// The page has loaded once all its frames have, or have failed; one that never answers holds nobody up.
(() => {
  "use strict";
  const go = () => location.replace(document.getElementById("continue").href);
  addEventListener("load", go, { once: true });
  setTimeout(go, 4000);
})();
