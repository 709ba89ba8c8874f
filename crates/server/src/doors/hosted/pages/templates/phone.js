// A phone in the browser: a client of the open device protocol (docs/device-protocol.md) like any other. Its keys are made here and
// cannot be taken out, by this script either; all it keeps is in the browser's own database.
(() => {
  "use strict";
  const by = (id) => document.getElementById(id);
  const words = JSON.parse(by("phone").dataset.words);
  const service = document.querySelector(".brand span:last-child").textContent;
  const KEY = { name: "ECDSA", namedCurve: "P-256" }, SIGNED = { name: "ECDSA", hash: "SHA-256" };
  const WAIT = 25, PAUSE = 2000, LONGEST_PAUSE = 30000;

  // What is kept: one record for each account, with its pair of keys.
  const kept = (() => {
    let opened;
    const open = () => opened ||= new Promise((resolve, reject) => {
      const request = indexedDB.open("countersign-phone", 1);
      request.onupgradeneeded = () => request.result.createObjectStore("accounts", { keyPath: "id" });
      request.onsuccess = () => resolve(request.result);
      request.onerror = request.onblocked = () => reject(request.error);
    });
    const run = async (mode, act) => {
      const transaction = (await open()).transaction("accounts", mode);
      const request = act(transaction.objectStore("accounts"));
      return new Promise((resolve, reject) => {
        transaction.oncomplete = () => resolve(request.result);
        transaction.onerror = transaction.onabort = () => reject(transaction.error);
      });
    };
    return {
      all: () => run("readonly", (store) => store.getAll()),
      one: (id) => run("readonly", (store) => store.get(id)),
      put: (account) => run("readwrite", (store) => store.put(account)),
      drop: (id) => run("readwrite", (store) => store.delete(id)),
    };
  })();

  const base64 = (bytes) => btoa(Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join(""));
  const utf8 = (text) => new TextEncoder().encode(text);

  /** The signature as the protocol wants it: DER (RFC 3279 §2.2.3) in place of the two bare numbers that browsers give. */
  async function sign(pair, text) {
    const bare = new Uint8Array(await crypto.subtle.sign(SIGNED, pair.privateKey, utf8(text)));
    const integer = (bytes) => {
      let start = 0;
      while (start < bytes.length - 1 && bytes[start] === 0) start++;
      const rest = bytes.slice(start);
      const value = rest[0] & 0x80 ? [0, ...rest] : [...rest];
      return [2, value.length, ...value];
    };
    const both = [...integer(bare.slice(0, 32)), ...integer(bare.slice(32))];
    return base64([0x30, both.length, ...both]);
  }

  const publicKey = async (pair) => base64(await crypto.subtle.exportKey("spki", pair.publicKey));

  /** The body that enrols a pair, vouched for by another where there is one. */
  async function enrolling(id, pair, by) {
    const key = await publicKey(pair);
    const attributes = { algorithm: "SHA256withECDSA", publicKey: key, signedData: await sign(pair, id) };
    if (by) attributes.vouchedData = await sign(by, `${id}\n${key}`);
    return [{ subType: "userPresence", enabled: true, attributes }];
  }

  const isOurs = (uri) => {
    try {
      return new URL(uri).origin === location.origin;
    } catch {
      return false;
    }
  };

  async function send(method, uri, token, body, signal) {
    const headers = {};
    if (token) headers.authorization = `Bearer ${token}`;
    if (body) headers["content-type"] = "application/json";
    const response = await fetch(uri, {
      method, headers, signal, body: body && JSON.stringify(body), cache: "no-store", credentials: "omit", redirect: "error",
    });
    const answer = await response.json().catch(() => ({}));
    // A server that is ending or has too much to do is one that cannot be reached for now.
    if (response.status >= 500 && response.status !== 501) throw new TypeError("busy");
    return { status: response.status, ok: response.ok, answer };
  }

  // Of several tabs one renews at a time, and the others take what it was given.
  const alone = (id, act) => navigator.locks.request(`countersign-phone-${id}`, act);

  /** Fresh tokens for an account; false where it is gone for good. */
  const renew = (account) => alone(account.id, async () => {
    const current = await kept.one(account.id);
    if (!current) return false;
    if (current.access === account.access) {
      const { ok, status, answer } = await send("POST", current.registration, null, { refreshToken: current.refresh });
      if (!ok && status !== 401) throw new TypeError("refused");
      current.gone = !ok;
      if (ok) [current.access, current.refresh] = [answer.accessToken, answer.refreshToken];
      await kept.put(current);
    }
    Object.assign(account, current);
    return !current.gone;
  });

  /** Changes what is kept of an account, as it is by now: another tab may have renewed its tokens. */
  const change = (account, fields) => alone(account.id, async () => {
    Object.assign(account, await kept.one(account.id), fields);
    await kept.put({ ...account });
  });

  async function ask(account, method, uri, body, signal) {
    const first = await send(method, uri, account.access, body, signal);
    if (first.status !== 401) return first;
    return await renew(account) ? send(method, uri, account.access, body, signal) : first;
  }

  // What is seen.
  const state = { accounts: [], waiting: new Map(), online: new Set(), shown: null, outcome: null };
  const VIEWS = ["home", "add", "picture", "request", "done", "remove"];
  let view = null;

  function show(name) {
    for (const one of VIEWS) by(`view-${one}`).hidden = one !== name;
    if (name !== "add") camera.stop();
    if (view !== name) {
      view = name;
      by(`view-${name}`).querySelector("h1").focus({ preventScroll: true });
    }
  }

  function problem(text) {
    by("problem").hidden = !text;
    by("problem-text").textContent = text || "";
  }

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function person(account) {
    const line = element("div", "person"), who = element("span", "who");
    const mark = element("span", "mark", (account.account || service).slice(0, 1).toUpperCase());
    mark.setAttribute("aria-hidden", "true");
    who.append(element("b", "", account.account || words.unnamed), element("small", "", account.device));
    line.append(mark, who);
    return line;
  }

  function button(text, name, act) {
    const made = element("button", "", text);
    made.type = "button";
    made.dataset.act = name;
    made.addEventListener("click", act);
    return made;
  }

  function home() {
    const list = by("accounts");
    list.replaceChildren(...state.accounts.map((account) => {
      const item = element("li"), row = element("div", "row");
      item.dataset.account = account.id;
      item.append(person(account));
      if (account.gone) item.append(element("p", "gone", words.gone));
      else row.append(button(words.exchange, "exchange", (event) => exchange(account, event.currentTarget)));
      row.append(button(words.remove, "remove", () => removing(account)));
      item.append(row);
      return item;
    }));
    live();
    by("notify").hidden = !("Notification" in window) || Notification.permission !== "default";
    show("home");
  }

  function live() {
    const living = state.accounts.filter((account) => !account.gone);
    const on = living.length > 0 && living.every((account) => state.online.has(account.id));
    by("state").hidden = living.length === 0;
    by("state").classList.toggle("on", on);
    by("state").classList.toggle("off", !on);
    by("state-text").textContent = on ? words.online : words.offline;
  }

  /** Shows what must be seen now: an outcome, else a request, else the accounts. */
  function render() {
    const count = state.waiting.size;
    document.title = (count ? `(${count}) ` : "") + document.title.replace(/^\(\d+\) /, "");
    if (navigator.setAppBadge) (count ? navigator.setAppBadge(count) : navigator.clearAppBadge()).catch(() => {});
    if (state.outcome) return;
    const [next] = state.waiting.values();
    if (next) return request(next);
    state.shown = null;
    if (view === "request" || view === "home" || view === null) state.accounts.length ? home() : adding();
  }

  function request({ account, transaction }) {
    const already = state.shown === transaction.id;
    state.shown = transaction.id;
    if (already && view === "request") return;
    problem("");
    let data = {};
    try {
      data = JSON.parse(transaction.transactionData);
    } catch { /* Shown without what cannot be read; it is signed as it came. */ }
    const text = (value) => typeof value === "string" ? value : "";
    by("request-title").textContent = text(data.message) || service;
    const facts = [[words.account, account.account || account.device]];
    for (const one of Array.isArray(data.additionalData) ? data.additionalData : []) facts.push([text(one?.name), text(one?.value)]);
    facts.push([words.from, text(data.originIpAddress)], [words.with, browserOf(text(data.originUserAgent))]);
    by("request-facts").replaceChildren(...facts.filter(([, value]) => value).flatMap(([name, value]) => {
      const told = element("dd");
      told.append(element("bdi", "", value));
      return [element("dt", "", name), told];
    }));
    by("request-number").hidden = !transaction.numberMatchRequired;
    by("number").value = "";
    busy(false);
    show("request");
    if (transaction.numberMatchRequired) by("number").focus({ preventScroll: true });
  }

  /** A browser's own description in two words, where it is one that people know; else as it came. */
  function browserOf(agent) {
    const named = (names) => names.find(([mark]) => agent.includes(mark))?.[1];
    const program = named([["Edg/", "Edge"], ["OPR/", "Opera"], ["Firefox/", "Firefox"], ["Chrome/", "Chrome"], ["Version/", "Safari"]]);
    const system = named([
      ["Windows NT", "Windows"], ["iPhone", "iPhone"], ["iPad", "iPad"], ["Mac OS X", "macOS"], ["Android", "Android"],
      ["CrOS", "ChromeOS"], ["Linux", "Linux"],
    ]);
    return agent.startsWith("Mozilla/5.0 (") && program && system ? `${program}, ${system}` : agent.slice(0, 200);
  }

  const busy = (now) => {
    for (const id of ["approve", "deny", "fraud"]) by(id).disabled = now;
  };

  function outcome(name, good) {
    state.outcome = name;
    by("view-done").dataset.outcome = name;
    by("done-seal").classList.toggle("no", !good);
    by("done-title").textContent = words[name];
    by("done-lede").textContent = words[`${name}_lede`] || "";
    show("done");
    render();
  }

  async function answer(action) {
    const one = [...state.waiting.values()].find(({ transaction }) => transaction.id === state.shown);
    if (!one) return render();
    const { account, transaction } = one, said = { userAction: action };
    problem("");
    if (action === "VERIFY_ATTEMPT") {
      const number = by("number").value.replace(/\D/g, "");
      if (transaction.numberMatchRequired && number.length !== 2) {
        problem(words.no_number);
        by("number").focus();
        return;
      }
      if (transaction.numberMatchRequired) said.numberMatch = number;
      const signed = transaction.transactionData + (said.numberMatch ? `\n${said.numberMatch}` : "");
      said.signedData = await sign(account.pair, signed);
    }
    said.id = account.method;
    busy(true);
    try {
      const { status, ok } = await ask(account, "POST", `${account.transactions}/${transaction.id}`, [said]);
      const denied = action === "USER_FRAUDULENT" ? "reported" : "denied";
      if (ok) settled(account, action === "VERIFY_ATTEMPT" ? "approved" : denied, action === "VERIFY_ATTEMPT");
      else if (status === 404) settled(account, "over", false);
      else if (status === 400 && said.signedData) settled(account, "wrong", false);
      else problem(words.look_again);
    } catch {
      problem(words.unreachable);
    }
    busy(false);
  }

  function settled(account, name, good) {
    state.waiting.delete(account.id);
    outcome(name, good);
  }

  // What is asked for: one loop for each account.
  const watched = new Set();

  /** A while, or until there is a network again. */
  const pause = (milliseconds) => new Promise((resolve) => {
    const listening = new AbortController();
    const go = () => {
      listening.abort();
      resolve();
    };
    setTimeout(go, milliseconds);
    addEventListener("online", go, { signal: listening.signal });
  });

  /** A page that nobody sees asks only where it may say so. */
  const seen = () => new Promise((resolve) => {
    const look = () => {
      if (!document.hidden || ("Notification" in window && Notification.permission === "granted")) {
        document.removeEventListener("visibilitychange", look);
        resolve();
      }
    };
    document.addEventListener("visibilitychange", look);
    look();
  });

  async function watch(account) {
    if (watched.has(account.id)) return;
    watched.add(account.id);
    let known = "", failures = 0, wait = 0;
    while (state.accounts.includes(account) && !account.gone) {
      await seen();
      const began = performance.now();
      try {
        const uri = `${account.transactions}?wait=${wait}&known=${encodeURIComponent(known)}`;
        const { ok, status, answer: list } = await ask(account, "GET", uri, undefined, AbortSignal.timeout((WAIT + 15) * 1000));
        if (status === 401) break;
        if (!ok) throw new TypeError("refused");
        const found = list.verifications?.[0], id = found?.id ?? "", news = id !== known;
        if (failures || !state.online.has(account.id)) {
          state.online.add(account.id);
          live();
        }
        known = id;
        if (news) heard(account, found);
        // The first answer comes at once, so that it is known whether the server can be reached.
        const early = wait > 0 && !news && performance.now() - began < 1000;
        [failures, wait] = [0, WAIT];
        if (early) await pause(PAUSE);
      } catch {
        state.online.delete(account.id);
        live();
        await pause(Math.min(1000 * 2 ** failures++, LONGEST_PAUSE));
        wait = 0;
      }
    }
    watched.delete(account.id);
    if (account.gone) {
      state.waiting.delete(account.id);
      render();
    }
  }

  function heard(account, transaction) {
    if (!state.accounts.includes(account)) return;
    if (transaction) {
      state.waiting.set(account.id, { account, transaction });
      if (document.hidden) notice(account, transaction);
    } else {
      const shown = state.waiting.get(account.id)?.transaction.id;
      state.waiting.delete(account.id);
      if (shown && shown === state.shown && view === "request") return outcome("over", false);
    }
    render();
  }

  async function notice(account, transaction) {
    if (!("Notification" in window) || Notification.permission !== "granted") return;
    const worker = await navigator.serviceWorker?.ready.catch(() => null);
    const options = { body: account.account, tag: transaction.id, requireInteraction: true, icon: "/phone/icon.svg" };
    await worker?.showNotification(words.notice.replace("{service}", service), options).catch(() => {});
  }

  // Accounts come and go.
  function adding(prefilled) {
    problem("");
    const invited = by("invited");
    by("invitation").value = prefilled ?? "";
    const invitation = read(by("invitation").value);
    invited.hidden = !invitation?.code || Boolean(invitation.loginUri);
    by("typed").hidden = !invited.hidden;
    by("camera").hidden = !invited.hidden || !camera.can;
    by("add-lede").hidden = !invited.hidden;
    by("invited-account").textContent = invitation?.accountName || words.unnamed;
    by("name").value ||= guess();
    by("add-cancel").hidden = state.accounts.length === 0;
    show("add");
    if (invited.hidden) by("invitation").focus({ preventScroll: true });
  }

  // A camera, where the browser reads pictures by itself: everywhere else the text beside the picture is pasted.
  const camera = (() => {
    const can = "BarcodeDetector" in window && Boolean(navigator.mediaDevices?.getUserMedia);
    const end = (stream) => stream?.getTracks().forEach((track) => track.stop());
    let runs = 0;

    function stop() {
      runs++;
      end(by("viewfinder").srcObject);
      by("viewfinder").srcObject = null;
      by("finder").hidden = true;
      by("scan").hidden = false;
    }

    /** Looks until it sees an invitation or the picture of a sign-in, or somebody has enough of it. */
    async function scan() {
      problem("");
      stop();
      const run = runs, viewfinder = by("viewfinder");
      try {
        const detector = new BarcodeDetector({ formats: ["qr_code"] });
        const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
        if (run !== runs) return end(stream);
        viewfinder.srcObject = stream;
        by("finder").hidden = false;
        by("scan").hidden = true;
        await viewfinder.play();
        while (run === runs) {
          const text = (await detector.detect(viewfinder)).map((one) => one.rawValue).find(read);
          if (run !== runs) return;
          if (text) {
            stop();
            return found(text);
          }
          await pause(150);
        }
      } catch {
        if (run !== runs) return;
        stop();
        problem(words.no_camera);
      }
    }

    return { can, scan, stop };
  })();

  /** What was found in a link or by the camera. */
  function found(text) {
    adding(text);
    if (read(text)?.loginUri) register();
  }

  function guess() {
    const platform = navigator.userAgentData?.platform || navigator.platform || "";
    return platform.split(" ")[0] || words.device;
  }

  /** An invitation or a picture: its text, or a link that holds it in base64url behind `#register=`. */
  function read(typed) {
    let text = typed.trim();
    const linked = /#(?:register|picture)=([\w-]+)/.exec(text);
    try {
      if (linked) {
        const bytes = atob(linked[1].replace(/-/g, "+").replace(/_/g, "/"));
        text = new TextDecoder().decode(Uint8Array.from(bytes, (character) => character.charCodeAt(0)));
      }
      const found = JSON.parse(text);
      const whole = typeof found?.code === "string" && (typeof found.registrationUri === "string" || typeof found.loginUri === "string");
      return whole ? found : null;
    } catch {
      return null;
    }
  }

  async function register() {
    problem("");
    const given = read(by("invitation").value);
    if (!given) return problem(words.unusable);
    const uri = given.loginUri || given.registrationUri;
    if (!isOurs(uri)) {
      let host = uri;
      try {
        host = new URL(uri).host;
      } catch { /* Shown as it is. */ }
      return problem(words.foreign.replace("{host}", host));
    }
    if (given.loginUri) return state.accounts.some((account) => !account.gone) ? picturing(given) : problem(words.picture_first);
    by("register").disabled = true;
    try {
      await setUp(given, by("name").value.trim() || guess());
    } catch (error) {
      problem(error instanceof TypeError ? words.unreachable : words.refused);
    }
    by("register").disabled = false;
  }

  async function setUp(invitation, device) {
    const attributes = {
      accountName: invitation.accountName, deviceName: device, deviceType: "web", platformType: "WEB",
      applicationId: "countersign-web-phone", applicationName: "Countersign", fingerprintSupport: false, faceSupport: false,
    };
    const uri = `${invitation.registrationUri}?metadataInResponse=true&skipTotpEnrollment=true`;
    const { ok, answer: made } = await send("POST", uri, null, { code: invitation.code, attributes });
    const keys = made.metadata?.authenticationMethods?.signature_userPresence?.enrollmentUri;
    if (!ok || ![keys, made.metadata.transactionUri].every(isOurs)) throw new Error("refused");
    const pair = await crypto.subtle.generateKey(KEY, false, ["sign", "verify"]);
    const enrolled = await send("POST", keys, made.accessToken, await enrolling(made.id, pair));
    if (!enrolled.ok) throw new Error("refused");
    const account = {
      id: made.id, account: invitation.accountName || "", device, pair, keys,
      method: enrolled.answer[0].id, registration: invitation.registrationUri, transactions: made.metadata.transactionUri,
      access: made.accessToken, refresh: made.refreshToken, gone: false, next: null,
    };
    await kept.put(account);
    navigator.storage?.persist?.().catch(() => {});
    // The first renewal tells the server that everything arrived.
    await renew(account);
    state.accounts.push(account);
    watch(account);
    home();
  }

  /** A new pair is kept before it is sent: where the answer is lost, doing it again finds out which is in force. */
  async function exchange(account, pressed) {
    problem("");
    pressed.disabled = true;
    try {
      if (!account.next) await change(account, { next: await crypto.subtle.generateKey(KEY, false, ["sign", "verify"]) });
      let enrolled = await ask(account, "POST", account.keys, await enrolling(account.id, account.next, account.pair));
      if (enrolled.status === 400) {
        enrolled = await ask(account, "POST", account.keys, await enrolling(account.id, account.next, account.next));
      }
      if (!enrolled.ok) throw new Error("refused");
      await change(account, { pair: account.next, next: null, method: enrolled.answer[0].id });
      outcome("exchanged", true);
    } catch (error) {
      problem(error instanceof TypeError ? words.unreachable : words.look_again);
    }
    pressed.disabled = false;
  }

  let leaving = null;

  function removing(account) {
    problem("");
    leaving = account;
    by("remove-account").textContent = account.account || account.device;
    show("remove");
  }

  async function remove() {
    const account = leaving;
    by("remove").disabled = true;
    try {
      const { ok, status } = account.gone
        ? { ok: true }
        : await ask(account, "DELETE", account.transactions.replace(/\/verifications$/, ""));
      // One that the server does not know any more is gone all the same.
      if (!ok && status !== 401 && status !== 404) throw new Error("refused");
      await kept.drop(account.id);
      state.accounts = state.accounts.filter((one) => one !== account);
      state.waiting.delete(account.id);
      outcome("removed", true);
    } catch (error) {
      problem(error instanceof TypeError ? words.unreachable : words.look_again);
    }
    by("remove").disabled = false;
  }

  function picturing(picture) {
    problem("");
    const living = state.accounts.filter((account) => !account.gone);
    by("picture-accounts").replaceChildren(...living.map((account) => {
      const choice = element("button", "choice");
      choice.type = "button";
      choice.dataset.account = account.id;
      choice.append(...person(account).childNodes);
      choice.addEventListener("click", () => scan(account, picture));
      return choice;
    }));
    show("picture");
  }

  async function scan(account, picture) {
    try {
      const { ok } = await ask(account, "POST", picture.loginUri, { lsi: picture.code });
      if (ok) outcome("scanned", true);
      else problem(words.picture_refused);
    } catch {
      problem(words.unreachable);
    }
  }

  function back() {
    problem("");
    state.outcome = null;
    [view, state.shown] = [null, null];
    render();
  }

  const on = (id, kind, act) => by(id).addEventListener(kind, (event) => {
    event.preventDefault();
    act();
  });
  on("request-form", "submit", () => answer("VERIFY_ATTEMPT"));
  on("deny", "click", () => answer("USER_DENIED"));
  on("fraud", "click", () => answer("USER_FRAUDULENT"));
  on("add-form", "submit", register);
  on("add", "click", () => adding());
  on("scan", "click", camera.scan);
  on("scan-stop", "click", camera.stop);
  document.addEventListener("visibilitychange", () => document.hidden && camera.stop());
  for (const id of ["add-cancel", "picture-cancel", "remove-cancel", "done"]) on(id, "click", back);
  on("remove", "click", remove);
  on("notify", "click", () => Notification.requestPermission().then(home));

  /** A link to here may carry an invitation behind `#`, which no server sees. */
  function invited() {
    if (!/^#(register|picture)=/.test(location.hash)) return false;
    const link = location.href;
    history.replaceState(null, "", location.pathname);
    if (read(link)) found(JSON.stringify(read(link)));
    else {
      adding();
      problem(words.unusable);
    }
    return true;
  }

  async function start() {
    by("phone").hidden = false;
    try {
      if (!window.isSecureContext || !crypto.subtle || !navigator.locks) throw new Error("unsupported");
      state.accounts = await kept.all();
    } catch {
      return problem(words.unsupported);
    }
    if (navigator.serviceWorker) {
      const WORKER = "/phone/worker.js";
      const policy = window.trustedTypes?.createPolicy("phone", { createScriptURL: () => WORKER });
      const worker = policy ? policy.createScriptURL(WORKER) : WORKER;
      navigator.serviceWorker.register(worker, { scope: "/phone" }).catch(() => {});
    }
    if (!invited()) render();
    addEventListener("hashchange", invited);
    state.accounts.forEach(watch);
  }
  start();
})();
