// A new passkey: the browser makes it when the button is pressed, and the form brings it along.
(() => {
  "use strict";
  const { form, button, status, say, text, send } = passkeys;
  if (!window.PublicKeyCredential) return say(status.dataset.unsupported, true);
  const options = passkeys.options();
  const made = (credential) => {
    const answer = credential.response;
    send(credential, {
      attestationObject: text(answer.attestationObject),
      transports: answer.getTransports ? answer.getTransports() : [],
    });
  };
  button.hidden = false;
  form.addEventListener("submit", (event) => {
    if (event.submitter && event.submitter !== button) return;
    event.preventDefault();
    say(status.dataset.waiting);
    navigator.credentials.create({ publicKey: options }).then(made).catch((error) => {
      say(error.name === "InvalidStateError" ? status.dataset.known : status.dataset.failed, true);
    });
  });
})();
