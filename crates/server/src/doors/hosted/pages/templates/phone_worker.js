// Behind the web phone: opens it where there is no network, and brings it to the front when a notification is touched.
"use strict";
const SHELL = "/phone", CACHE = "phone-1";

const fresh = async () => {
  const response = await fetch(SHELL, { cache: "no-store" });
  if (response.ok && !response.redirected) await (await caches.open(CACHE)).put(SHELL, response.clone());
  return response;
};

addEventListener("install", (event) => event.waitUntil(fresh().then(() => skipWaiting())));
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => {
  const { mode, url } = event.request;
  if (mode !== "navigate" || new URL(url).pathname !== SHELL) return;
  event.respondWith(fresh().catch(async () => await caches.match(SHELL) ?? Response.error()));
});
addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil((async () => {
    const open = await clients.matchAll({ type: "window" });
    const phone = open.find((one) => new URL(one.url).pathname === SHELL);
    return phone ? phone.focus() : clients.openWindow(SHELL);
  })());
});
