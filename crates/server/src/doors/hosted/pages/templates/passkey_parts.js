// What both ceremonies need: bytes as text, a word to the person, and the form that brings the credential along.
const passkeys = (() => {
  "use strict";
  const by = (id) => document.getElementById(id);
  const form = by("form"), button = by("passkey"), status = by("passkey-status");
  const say = (words, bad) => {
    status.textContent = words || "";
    status.classList.toggle("bad", Boolean(bad));
  };
  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));
  const text = (buffer) =>
    btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(""))
      .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const options = () => {
    const given = JSON.parse(form.dataset.options);
    given.challenge = bytes(given.challenge);
    for (const one of [...(given.allowCredentials || []), ...(given.excludeCredentials || [])]) one.id = bytes(one.id);
    if (given.user) given.user.id = bytes(given.user.id);
    return given;
  };
  const send = (credential, response) => {
    const fields = {
      do: "passkey",
      credential: JSON.stringify({
        id: credential.id,
        rawId: text(credential.rawId),
        type: credential.type,
        authenticatorAttachment: credential.authenticatorAttachment,
        response: { clientDataJSON: text(credential.response.clientDataJSON), ...response },
        clientExtensionResults: credential.getClientExtensionResults(),
      }),
    };
    for (const name in fields) {
      const field = document.createElement("input");
      field.type = "hidden";
      field.name = name;
      field.value = fields[name];
      form.append(field);
    }
    // Not `form.submit`: a button named so would stand in its place.
    HTMLFormElement.prototype.submit.call(form);
  };
  return { by, form, button, status, say, text, options, send };
})();
