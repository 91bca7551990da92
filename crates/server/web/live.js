// The live view: what the server is doing, asked once a second while somebody looks.
// Invariant: figures are the server's own (/v1/status, /v1/cache/stats, /metrics); nothing is estimated here.

import { json, quietly } from "./api.js";
import { h, icon, s } from "./dom.js";

const SECONDS = 60;
const EVERY_MS = 1000;
const IDLE_MS = 5000;

/** Bytes as people read them. */
export function bytes(count) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let at = 0;
  while (count >= 999.5 && at < units.length - 1) { count /= 1000; at += 1; }
  return `${count < 10 && at > 0 ? count.toFixed(1) : Math.round(count)} ${units[at]}`;
}

const number = (value) => Math.round(value).toLocaleString("en");
const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;

/** Starts asking. `isOpen()`: somebody looks; `told(status)`: after each answer, null when there was none. */
export function watch(target, isOpen, told) {
  const rates = [];
  let timer = 0;
  const ask = async () => {
    clearTimeout(timer);
    if (!document.hidden) {
      const open = isOpen();
      const paths = ["/v1/cache/stats", "/metrics", "/v1/requests"];
      const [status, stats, metrics, requests] = await Promise.all([quietly("/v1/status"), ...paths.map((path) => open && quietly(path))]);
      const now = status && JSON.parse(status);
      told(now);
      // The engine's figure is that of its last steps: of a model at rest it is history.
      rates.push(now ? sum(now.models.filter((model) => model.running), "tokens_per_second") : 0);
      if (rates.length > SECONDS) rates.shift();
      if (open) draw(target, now, stats ? JSON.parse(stats).models : [], counters(metrics || ""), requests ? JSON.parse(requests).requests : [], rates, ask);
    }
    clearTimeout(timer);
    timer = setTimeout(ask, isOpen() ? EVERY_MS : IDLE_MS);
  };
  document.addEventListener("visibilitychange", ask);
  ask();
  return ask;
}

const sum = (models, field) => models.reduce((total, model) => total + (model[field] ?? 0), 0);

/** The counters of Prometheus' text. */
function counters(text) {
  const found = text.matchAll(/^olivine_(\w+_total) (\d+)$/gm);
  return Object.fromEntries([...found].map(([, name, value]) => [name, Number(value)]));
}

function draw(target, status, caches, counts, requests, rates, again) {
  if (!status) {
    target.replaceChildren(h("p", { class: "error" }, "The server does not answer."));
    return;
  }
  const focused = document.activeElement?.dataset?.key;
  const { models } = status;
  const tile = (value, unit, name) => h("div", { class: "tile" }, h("b", {}, value, unit && h("small", {}, ` ${unit}`)), h("span", { class: "muted" }, name));
  const speed = h("div", { class: "tile whole" }, h("b", {}, rates.at(-1).toFixed(1), h("small", {}, " tokens/s")), spark(rates));
  const memory = status.memory ?? {};
  target.replaceChildren(...[
    h("div", { class: "tiles" },
      speed,
      tile(number(sum(models, "running")), "", "answering now"),
      tile(number(sum(models, "waiting")), "", "waiting"),
      memory.resident_bytes ? tile(...bytes(memory.resident_bytes).split(" "), "server’s memory") : null,
      memory.available_bytes ? tile(...bytes(memory.available_bytes).split(" "), "still available") : null,
    ),
    requests.length ? running(requests, again) : null,
    ...models.map((model) => card(model, caches.find((cache) => cache.model === model.name) ?? {}, again)),
    ...(models.length ? [] : [h("p", { class: "muted" }, "No model is in memory. The next question loads one.")]),
    totals(status, counts),
  ].filter(Boolean));
  if (focused) target.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

/** The last minute as a line over its area. */
function spark(rates) {
  const most = Math.max(...rates, 1);
  const from = SECONDS - rates.length;
  const points = rates.map((rate, at) => `${((from + at) / (SECONDS - 1) * 100).toFixed(2)},${(40 - rate / most * 38).toFixed(2)}`);
  const start = (from / (SECONDS - 1) * 100).toFixed(2);
  return s("svg", { class: "spark", viewBox: "0 0 100 42", preserveAspectRatio: "none", role: "img", "aria-label": "Tokens a second in the last minute" },
    s("path", { class: "area", d: `M${start},42 L${points.join(" L")} L100,42 Z` }),
    s("path", { d: `M${points.join(" L")}` }));
}

/** The answers being made, each with a way to end it. */
function running(requests, again) {
  const rows = requests.map(({ ids, model, prompt_tokens: prompt, answer_tokens: answer, age_seconds: age }) => h("div", { class: "request" },
    h("span", {}, h("b", {}, model), h("span", { class: "muted" }, ` ${number(prompt)} + ${number(answer)} tokens · ${age.toFixed(1)} s`)),
    h("button", { type: "button", class: "icon", "aria-label": `End ${ids[0]}`, title: `End ${ids[0]}`, "data-key": `end ${ids[0]}`, onclick: async () => {
      try { await json(`/v1/requests/${encodeURIComponent(ids[0])}`, { method: "DELETE" }); } catch { /* It may have ended by itself. */ }
      again();
    } }, icon("close"))));
  return h("section", { class: "card", "aria-label": "Answers being made" }, h("h3", {}, "Being answered"), ...rows);
}

function card(model, cache, again) {
  const budget = Math.max(model.kv_bytes_budget, 1);
  const live = model.kv_bytes_used - model.kv_bytes_cached;
  const share = (part) => { const bar = h("i"); bar.style.width = `${100 * part / budget}%`; return bar; };
  const facts = [
    ["Weights", bytes(model.weight_bytes)],
    ["Context", `${number(model.context_tokens)} tokens`],
    ["In use by requests", bytes(live)],
    ["Cached in memory", `${bytes(model.kv_bytes_cached)}${cache.blocks ? ` · ${plural(cache.blocks, "block")}` : ""}`],
    cache.disk_bytes ? ["Cached on disk", `${bytes(cache.disk_bytes)} · ${plural(cache.disk_blocks, "block")}`] : null,
    ["Prompts cached", model.prompt_tokens ? `${Math.round(100 * model.cached_share)} %` : "–"],
    model.drafted_tokens ? ["Guesses that were right", `${Math.round(100 * model.accepted_tokens / model.drafted_tokens)} %`] : null,
    model.preempted ? ["Set back for memory", number(model.preempted)] : null,
    model.panics ? ["Failed steps", number(model.panics)] : null,
    ["Stays", model.expires_in_seconds === null ? "for good" : `${number(model.expires_in_seconds)} s more`],
  ].filter(Boolean);
  const act = (name, label, work) => h("button", { type: "button", "data-key": `${name} ${model.name}`, onclick: async (event) => {
    event.target.disabled = true;
    try { await work(); } catch { /* The next look shows what is. */ }
    again();
  } }, label);
  return h("section", { class: "card", "aria-label": model.name },
    h("h3", {}, model.name),
    h("span", { class: "muted" }, [model.quantization, model.format].filter(Boolean).join(" · ")),
    h("div", { class: "bar", title: `${bytes(model.kv_bytes_used)} of ${bytes(model.kv_bytes_budget)}` }, share(live), share(model.kv_bytes_cached)),
    h("span", { class: "muted" }, `${bytes(model.kv_bytes_used)} of ${bytes(model.kv_bytes_budget)} for keys and values`),
    h("dl", {}, ...facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    cache.disk_error ? h("p", { class: "error" }, cache.disk_error) : null,
    h("div", { class: "row" },
      act("unload", "Unload", () => json("/api/generate", { body: { model: model.name, keep_alive: 0 } })),
      act("clear", "Clear all caches", () => json("/v1/cache", { method: "DELETE" }))));
}

function totals(status, counts) {
  const facts = [
    ["Running for", duration(status.uptime_seconds)],
    ["Requests", number(counts.http_requests_total ?? status.requests)],
    ["Refused or failed", number(counts.http_errors_total ?? 0)],
    ["Answers", number(counts.answers_total ?? 0)],
    ["Prompt tokens", number(counts.prompt_tokens_total ?? 0)],
    ["of these cached", number(counts.cached_tokens_total ?? 0)],
    ["Answer tokens", number(counts.answer_tokens_total ?? 0)],
  ];
  return h("section", { class: "card", "aria-label": "Since the start" }, h("h3", {}, "Since the start"),
    h("dl", {}, ...facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
}

function duration(seconds) {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min` : `${seconds} s`;
}
