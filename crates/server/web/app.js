// The page: chats on the left, the conversation, a panel on the right. Invariant: one answer streams at a time; leaving
// its chat does not stop it. Read chat.js for messages, live.js for the panel's figures.

import { json, onKeyWanted, request } from "./api.js";
import { answer, body, view } from "./chat.js";
import { h, iconButton } from "./dom.js";
import { bytes, watch } from "./live.js";
import { chats, newChat, saveChats, saveSettings, settings } from "./store.js";

const $ = (id) => document.getElementById(id);
const [app, log, list, prompt, form] = ["app", "log", "messages", "prompt", "parameters"].map($);
const IDEAS = ["Explain what a prefix cache is, in three sentences.", "Write a short poem about olives in the rain.", "What is the capital of France?"];

let chat = newChat();
let models = [];
let running = null;
let follow = true;

// The conversation.

function show(next) {
  chat = next;
  follow = true;
  list.replaceChildren();
  chat.messages.forEach((message, at) => addView(message, at));
  $("welcome").hidden = chat.messages.length > 0;
  document.title = chat.title ? `${chat.title} – Olivine` : "Olivine";
  drawChats();
  drawComposer();
  toEnd();
}

function addView(message, at) {
  const owner = chat;
  const last = at === owner.messages.length - 1;
  const element = view(message, {
    edit: () => edit(at),
    again: () => again(at),
    results: last ? (results) => { owner.messages.push(...results); show(owner); go(); } : null,
  });
  list.append(element);
  element.update?.(running?.message === message);
  return element;
}

function edit(at) {
  if (running) return;
  prompt.value = chat.messages[at].content;
  chat.messages.length = at;
  show(chat);
  grow();
  prompt.focus();
}

function again(at) {
  if (running) return;
  chat.messages.length = at;
  show(chat);
  go();
}

async function send() {
  const text = prompt.value.trim();
  if (!text || running) return;
  prompt.value = "";
  grow();
  if (!chat.title) chat.title = text.replace(/\s+/g, " ").slice(0, 60);
  chat.messages.push({ role: "user", content: text });
  show(chat);
  await go();
}

/** Asks for the next message of this chat. */
async function go() {
  const owner = chat;
  const message = { role: "assistant", content: "", model: $("model").value };
  let sent = null;
  try {
    sent = body(message.model, owner.messages, usable());
  } catch (error) {
    message.error = `The parameters cannot be sent: ${error.message}`;
  }
  owner.messages.push(message);
  owner.updated = Date.now();
  if (!chats.includes(owner)) chats.push(owner);
  saveChats();
  const abort = new AbortController();
  running = sent && { message, abort };
  show(owner);
  if (sent) {
    let frame = 0;
    const draw = () => {
      frame = 0;
      if (chat === owner) { list.lastElementChild?.update?.(true); if (follow) toEnd(); }
    };
    await answer(message, sent, abort.signal, () => { frame ||= requestAnimationFrame(draw); });
    cancelAnimationFrame(frame);
    running = null;
  }
  owner.updated = Date.now();
  saveChats();
  drawChats();
  drawComposer();
  if (chat === owner) { list.lastElementChild?.update?.(false); if (follow) toEnd(); }
}

function toEnd() {
  log.scrollTop = log.scrollHeight;
  $("to-end").hidden = true;
}

log.addEventListener("scroll", () => {
  follow = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  $("to-end").hidden = follow;
});

// The composer.

function drawComposer() {
  $("stop").hidden = !running;
  $("send").hidden = Boolean(running);
  $("send").disabled = !prompt.value.trim() || !models.length;
}

function grow() {
  prompt.style.height = "auto";
  prompt.style.height = `${prompt.scrollHeight}px`;
  drawComposer();
}

prompt.addEventListener("input", grow);
prompt.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); }
});
$("composer").addEventListener("submit", (event) => { event.preventDefault(); send(); });
$("stop").addEventListener("click", () => running?.abort.abort());
$("to-end").addEventListener("click", toEnd);
$("ideas").append(...IDEAS.map((text) => h("button", { type: "button", onclick: () => { prompt.value = text; send(); } }, text)));

// The list of chats.

function drawChats() {
  const entry = (one) => h("li", { class: one === chat ? "current" : undefined },
    h("button", { type: "button", class: "open", title: one.title, "aria-current": one === chat ? "true" : null, onclick: () => { show(one); sidebar(false); } }, one.title || "New chat"),
    iconButton("trash", `Delete “${one.title}”`, () => remove(one)));
  $("chats").replaceChildren(...chats.map(entry));
}

function remove(one) {
  if (running && one.messages.includes(running.message)) running.abort.abort();
  chats.splice(chats.indexOf(one), 1);
  saveChats();
  if (one === chat) show(newChat());
  else drawChats();
}

function begin() {
  show(newChat());
  sidebar(false);
  prompt.focus();
}

function sidebar(open) {
  app.classList.toggle("with-sidebar", open);
  if (open) document.querySelector("[data-action=close-sidebar]").focus();
}

$("new-chat").addEventListener("click", begin);

// Models.

async function loadModels() {
  try {
    models = (await json("/api/tags")).models;
  } catch (error) {
    $("model-note").textContent = error.message;
    return;
  }
  const name = (model) => model.name.replace(/:latest$/, "");
  $("model").replaceChildren(...models.map((model) => h("option", { value: name(model) }, name(model))));
  if (models.some((model) => name(model) === settings.model)) $("model").value = settings.model;
  await drawModel();
  drawComposer();
}

async function drawModel() {
  const chosen = models.find((model) => model.name.replace(/:latest$/, "") === $("model").value);
  if (!chosen) return;
  const { parameter_size: size, quantization_level: quantization } = chosen.details;
  $("model-note").textContent = [size, quantization, bytes(chosen.size)].filter(Boolean).join(" · ");
  const shown = await json("/api/show", { body: { model: chosen.name } }).catch(() => ({}));
  const abilities = shown.capabilities ?? [];
  form.elements.thinking.disabled = !abilities.includes("thinking");
  form.elements.tools.disabled = !abilities.includes("tools");
}

$("model").addEventListener("change", () => {
  settings.model = $("model").value;
  saveSettings();
  drawModel();
});
$("model").addEventListener("focus", () => { if (!models.length) loadModels(); });

// The panel.

const isOpen = () => !$("panel").hidden && settings.panel === "live";

function panel(name) {
  settings.panel = name;
  saveSettings();
  $("panel").hidden = !name;
  app.classList.toggle("with-panel", Boolean(name));
  for (const tab of ["live", "parameters"]) {
    $(tab).hidden = tab !== name;
    $(`tab-${tab}`).setAttribute("aria-selected", String(tab === name));
    document.querySelector(`[data-panel=${tab}]`).setAttribute("aria-expanded", String(tab === name));
  }
  if (name === "live") look();
}

function toggle(name) {
  panel(settings.panel === name ? "" : name);
  if (settings.panel) $(`tab-${name}`).focus();
}

const look = watch($("live"), isOpen, (status) => {
  const busy = status?.models.some((model) => model.running + model.waiting > 0);
  $("pulse").className = status ? (busy ? "busy" : "") : "lost";
  if (status) $("version").textContent = `version ${status.version}`;
});

document.querySelectorAll("[data-panel]").forEach((button) => button.addEventListener("click", () => toggle(button.dataset.panel)));
document.querySelectorAll("[data-tab]").forEach((tab) => {
  tab.addEventListener("click", () => panel(tab.dataset.tab));
  tab.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    panel(settings.panel === "live" ? "parameters" : "live");
    $(`tab-${settings.panel}`).focus();
  });
});

// Parameters.

function readParameters() {
  const problem = ["tools", "schema"].map((name) => {
    const text = form.elements[name].value.trim();
    try {
      const value = text ? JSON.parse(text) : null;
      if (name === "tools" && value && !Array.isArray(value)) return "Tools must be a JSON list.";
    } catch (error) {
      return `${name === "tools" ? "Tools" : "The schema"}: ${error.message}`;
    }
    return "";
  }).find(Boolean);
  $("parameters-error").textContent = problem ?? "";
  $("parameters-error").hidden = !problem;
  const fields = [...form.elements].filter((field) => field.name && field.value.trim() !== "" && field.validity.valid);
  settings.parameters = Object.fromEntries(fields.map((field) => [field.name, field.value.trim()]));
  saveSettings();
}

/** Those that the chosen model understands. */
function usable() {
  return Object.fromEntries(Object.entries(settings.parameters).filter(([name]) => !form.elements[name]?.disabled));
}

for (const [name, value] of Object.entries(settings.parameters)) {
  if (form.elements[name]) form.elements[name].value = value;
}
form.addEventListener("input", readParameters);
form.addEventListener("reset", () => setTimeout(readParameters));
form.addEventListener("submit", (event) => event.preventDefault());

// Theme, key, shortcuts.

function theme() {
  if (settings.theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = settings.theme;
  $("theme").title = `Theme: ${settings.theme}`;
}

$("theme").addEventListener("click", () => {
  const order = ["auto", "light", "dark"];
  settings.theme = order[(order.indexOf(settings.theme) + 1) % order.length];
  saveSettings();
  theme();
});

let asking = null;
onKeyWanted(() => {
  asking ??= new Promise((resolve) => {
    const dialog = $("key-dialog");
    dialog.addEventListener("close", () => { asking = null; resolve($("key").value.trim() || null); $("key").value = ""; }, { once: true });
    dialog.showModal();
  });
  return asking;
});

document.querySelectorAll("[data-action]").forEach((button) => button.addEventListener("click", () => {
  if (button.dataset.action === "close-panel") panel("");
  else sidebar(button.dataset.action === "open-sidebar");
}));
$("shade").addEventListener("click", () => { sidebar(false); panel(""); });

const SHORTCUTS = { n: begin, m: () => $("model").focus(), p: () => toggle("parameters"), l: () => toggle("live"), c: () => prompt.focus() };

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    if ($("key-dialog").open) return;
    if (running) running.abort.abort();
    else if (app.classList.contains("with-sidebar")) sidebar(false);
    else if (settings.panel && matchMedia("(max-width: 1100px)").matches) panel("");
    else prompt.focus();
    return;
  }
  // `code`, for Alt makes other letters on some keyboards.
  const letter = event.altKey && !event.ctrlKey && !event.metaKey && /^Key([A-Z])$/.exec(event.code)?.[1].toLowerCase();
  if (letter && SHORTCUTS[letter]) { event.preventDefault(); SHORTCUTS[letter](); }
});

theme();
panel(matchMedia("(max-width: 1100px)").matches ? "" : settings.panel);
show(chat);
prompt.focus();
await request("/v1/status").then(loadModels, loadModels);
look();
