// Asks whether something happened elsewhere, and looks again then. Without this the page comes anew by itself every few seconds.
(() => {
  "use strict";
  const here = location.pathname;
  let failures = 0;
  const ask = async () => {
    try {
      const answer = await fetch(here + "?wait", { headers: { accept: "application/json" }, cache: "no-store" });
      if (!answer.ok || !(await answer.json()).waiting) return location.replace(here);
      failures = 0;
    } catch {
      if (++failures > 20) return;
    }
    setTimeout(ask, 2000 + 1000 * failures);
  };
  setTimeout(ask, 1500);
})();
