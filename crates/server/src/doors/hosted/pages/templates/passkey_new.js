// A new passkey: the browser makes it when the button is pressed, and the form brings it along.
(() => {
  "use strict";
  const by = (id) => document.getElementById(id);
  const form = by("form"), button = by("passkey"), status = by("passkey-status");
  const say = (text, bad) => {
    status.textContent = text || "";
    status.classList.toggle("bad", Boolean(bad));
  };
  if (!window.PublicKeyCredential) return say(status.dataset.unsupported, true);
  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));
  const text = (buffer) =>
    btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(""))
      .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const options = JSON.parse(form.dataset.options);
  options.challenge = bytes(options.challenge);
  options.user.id = bytes(options.user.id);
  for (const one of options.excludeCredentials || []) one.id = bytes(one.id);
  const send = (credential) => {
    const answer = credential.response;
    const fields = {
      do: "passkey",
      credential: JSON.stringify({
        id: credential.id,
        rawId: text(credential.rawId),
        type: credential.type,
        authenticatorAttachment: credential.authenticatorAttachment,
        response: {
          clientDataJSON: text(answer.clientDataJSON),
          attestationObject: text(answer.attestationObject),
          transports: answer.getTransports ? answer.getTransports() : [],
        },
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
    HTMLFormElement.prototype.submit.call(form);
  };
  button.hidden = false;
  form.addEventListener("submit", (event) => {
    if (event.submitter && event.submitter !== button) return;
    event.preventDefault();
    say(status.dataset.waiting);
    navigator.credentials.create({ publicKey: options }).then(send).catch((error) => {
      say(error.name === "InvalidStateError" ? status.dataset.known : status.dataset.failed, true);
    });
  });
})();
