// Passkeys: beside the user name where the browser offers that, and on the button. Without this the button is an ordinary one.
(() => {
  "use strict";
  const by = (id) => document.getElementById(id);
  const form = by("form"), button = by("passkey"), status = by("passkey-status"), alone = !by("username");
  const say = (text, bad) => {
    status.textContent = text || "";
    status.classList.toggle("bad", Boolean(bad));
  };
  if (!window.PublicKeyCredential) {
    if (alone) say(status.dataset.unsupported, true);
    else for (const part of [button, button.previousElementSibling]) part.hidden = true;
    return;
  }
  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));
  const text = (buffer) =>
    btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(""))
      .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const options = JSON.parse(form.dataset.options);
  options.challenge = bytes(options.challenge);
  for (const one of options.allowCredentials || []) one.id = bytes(one.id);

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
          authenticatorData: text(answer.authenticatorData),
          signature: text(answer.signature),
          userHandle: answer.userHandle ? text(answer.userHandle) : null,
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
    // Not `form.submit`: a button named so would stand in its place.
    HTMLFormElement.prototype.submit.call(form);
  };

  let waiting = new AbortController();
  const ask = (extra) =>
    navigator.credentials.get({ publicKey: options, signal: waiting.signal, ...extra }).then(send);
  const start = () => {
    waiting.abort();
    waiting = new AbortController();
    say(status.dataset.waiting);
    ask().catch((error) => {
      if (error.name !== "AbortError") say(status.dataset.failed, true);
    });
  };
  button.hidden = false;
  button.addEventListener("click", (event) => {
    event.preventDefault();
    start();
  });
  if (alone) {
    if (!by("error")) start();
  } else if (PublicKeyCredential.isConditionalMediationAvailable) {
    PublicKeyCredential.isConditionalMediationAvailable()
      .then((offered) => offered && ask({ mediation: "conditional" }))
      .catch(() => {});
  }
})();
