// Passkeys: beside the user name where the browser offers that, and on the button. Without this the button is an ordinary one.
(() => {
  "use strict";
  const { by, button, status, say, text, send } = passkeys;
  const alone = !by("username");
  if (!window.PublicKeyCredential) {
    if (alone) say(status.dataset.unsupported, true);
    else for (const part of [button, button.previousElementSibling]) part.hidden = true;
    return;
  }
  const options = passkeys.options();
  const proved = (credential) => {
    const answer = credential.response;
    send(credential, {
      authenticatorData: text(answer.authenticatorData),
      signature: text(answer.signature),
      userHandle: answer.userHandle ? text(answer.userHandle) : null,
    });
  };

  let waiting = new AbortController();
  const ask = (extra) =>
    navigator.credentials.get({ publicKey: options, signal: waiting.signal, ...extra }).then(proved);
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
