"use strict";

// Asks the browser's passkeys before a form is sent, and puts their answer into the form.

function decode(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function encode(buffer) {
  const binary = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function withBytes(options) {
  const decodeIds = (list) => (list ?? []).map((one) => ({ ...one, id: decode(one.id) }));
  const result = { ...options, challenge: decode(options.challenge) };
  if (options.user) result.user = { ...options.user, id: decode(options.user.id) };
  if (options.allowCredentials) result.allowCredentials = decodeIds(options.allowCredentials);
  if (options.excludeCredentials) result.excludeCredentials = decodeIds(options.excludeCredentials);
  return result;
}

function answerOf(credential) {
  const response = { clientDataJSON: encode(credential.response.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = encode(credential.response[name]);
  }
  const { id, type } = credential;
  return JSON.stringify({ id, rawId: encode(credential.rawId), type, response, clientExtensionResults: {} });
}

function put(form, name, value) {
  let field = form.elements.namedItem(name);
  if (field === null) {
    field = document.createElement("input");
    field.type = "hidden";
    field.name = name;
    form.append(field);
  }
  field.value = value;
}

function show(form, text) {
  let notice = form.querySelector("[role=alert]");
  if (notice === null) {
    notice = document.createElement("p");
    notice.className = "notice bad";
    notice.setAttribute("role", "alert");
    form.append(notice);
  }
  notice.textContent = text;
}

async function ask(form, optionsPath) {
  const reply = await fetch(optionsPath, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  const body = await reply.text();
  if (!reply.ok) throw new Error(reply.headers.get("content-type").startsWith("text/plain") ? body : reply.statusText);
  const { statement, publicKey } = JSON.parse(body);
  const verb = form.dataset.passkey === "create" ? "create" : "get";
  const credential = await navigator.credentials[verb]({ publicKey: withBytes(publicKey) });
  if (statement !== undefined) put(form, "statement", statement);
  put(form, "answer", answerOf(credential));
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential) continue;
  form.hidden = false;
  const button = form.querySelector("button[data-passkey-button]");
  if (button !== null) button.hidden = false;
  form.addEventListener("submit", async (event) => {
    if (button !== null && event.submitter !== button) return;
    event.preventDefault();
    try {
      await ask(form, form.dataset.options ?? `${form.getAttribute("action")}/options`);
      form.submit();
    } catch (error) {
      show(form, error.name === "NotAllowedError" ? "The passkey was not used." : error.message);
    }
  });
}
