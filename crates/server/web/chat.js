// A conversation: its messages as elements, and the stream that makes the next one.
// Invariant: `messages` is what the server is told; elements are made from it and never read back.

import { events, request } from "./api.js";
import { copyButton, h, icon, iconButton } from "./dom.js";
import { render } from "./markdown.js";

/** Messages as the chat endpoint wants them, with the parameters of the page. */
export function body(model, messages, parameters) {
  const told = messages.filter((message) => !message.error || message.content || message.calls?.length).map(tell);
  if (parameters.system) told.unshift({ role: "system", content: parameters.system });
  const out = { model, messages: told, stream: true, stream_options: { include_usage: true } };
  for (const name of ["temperature", "top_p", "top_k", "min_p", "seed", "repetition_penalty", "presence_penalty", "max_tokens"]) {
    if (parameters[name] !== undefined && parameters[name] !== "") out[name] = Number(parameters[name]);
  }
  if (parameters.thinking) out.reasoning_effort = parameters.thinking;
  const stop = (parameters.stop ?? "").split("\n").filter(Boolean);
  if (stop.length) out.stop = stop;
  if (parameters.tools) out.tools = JSON.parse(parameters.tools);
  if (parameters.schema) out.response_format = { type: "json_schema", json_schema: { name: "answer", schema: JSON.parse(parameters.schema) } };
  return out;
}

function tell(message) {
  if (message.role === "tool") return { role: "tool", tool_call_id: message.id, content: message.content };
  if (message.role !== "assistant") return { role: message.role, content: message.content };
  const out = { role: "assistant", content: message.content };
  if (message.calls?.length) {
    // Reasoning belongs to a turn until its calls are answered; later turns go without it.
    if (message.thinking) out.reasoning_content = message.thinking;
    out.tool_calls = message.calls.map(({ id, name, arguments: text }) => ({ id, type: "function", function: { name, arguments: text } }));
  }
  return out;
}

/** Streams an answer into `message`, calling `changed` after each piece. */
export async function answer(message, sent, signal, changed) {
  const started = performance.now();
  let first = 0;
  let usage = null;
  try {
    for await (const chunk of events(await request("/v1/chat/completions", { body: sent, signal }))) {
      if (chunk.error) throw new Error(chunk.error.message);
      usage = chunk.usage ?? usage;
      const choice = chunk.choices?.[0];
      if (!choice) continue;
      if (take(message, choice.delta) && !first) first = performance.now();
      if (choice.finish_reason) message.reason = choice.finish_reason;
      changed();
    }
    if (!message.reason) throw new Error("The answer broke off.");
  } catch (error) {
    if (error.name === "AbortError") message.reason = "stopped";
    else message.error = error.message;
  }
  const now = performance.now();
  if (first) message.figures = { first: first - started, rest: now - first, ...tokens(usage) };
}

function tokens(usage) {
  if (!usage) return {};
  return { prompt: usage.prompt_tokens, cached: usage.prompt_tokens_details?.cached_tokens ?? 0, answer: usage.completion_tokens };
}

/** Adds a delta; whether it said anything. */
function take(message, delta = {}) {
  if (delta.reasoning_content) message.thinking = (message.thinking ?? "") + delta.reasoning_content;
  if (delta.content) message.content += delta.content;
  for (const call of delta.tool_calls ?? []) {
    message.calls ??= [];
    message.calls[call.index] ??= { id: "", name: "", arguments: "" };
    const known = message.calls[call.index];
    if (call.id) known.id = call.id;
    known.name += call.function?.name ?? "";
    known.arguments += call.function?.arguments ?? "";
  }
  return Boolean(delta.reasoning_content || delta.content || delta.tool_calls?.length);
}

/** The element of a message. `actions`: `edit`, `again`, `results`. `update()` follows what the stream adds. */
export function view(message, actions) {
  if (message.role === "user") return userView(message, actions);
  if (message.role === "tool") return toolView(message);
  return assistantView(message, actions);
}

function userView(message, actions) {
  const tools = h("div", { class: "tools" }, iconButton("edit", "Edit and ask again", actions.edit), copyButton(() => message.content));
  return h("article", { class: "message user", "aria-label": "You" }, h("div", { class: "said" }, message.content), tools);
}

function toolView(message) {
  const head = h("summary", {}, icon("check"), "Result of ", h("b", {}, message.name));
  return h("article", { class: "message", "aria-label": "Result" }, h("details", { class: "call" }, head, h("div", { class: "inside" }, h("pre", {}, message.content))));
}

function assistantView(message, actions) {
  const wait = h("div", { class: "wait", role: "status", "aria-label": "Waiting for the answer" }, h("i"), h("i"), h("i"));
  const thought = h("div", { class: "inside", tabIndex: 0 });
  const thoughtTitle = h("span");
  const thinking = h("details", { class: "thinking", hidden: true }, h("summary", {}, thoughtTitle), thought);
  const text = h("div", { class: "text" });
  const calls = h("div");
  const foot = h("div", { class: "tools", hidden: true });
  const element = h("article", { class: "message assistant", "aria-label": "Answer" }, thinking, text, calls, wait, foot);
  let opened = false;

  element.update = (streaming) => {
    const { thinking: thoughts = "", content, error } = message;
    const said = thoughts || content || message.calls?.length;
    wait.hidden = !streaming || Boolean(content) || Boolean(message.calls?.length);
    thinking.hidden = !thoughts;
    const thinksNow = streaming && !content && !message.calls?.length;
    if (thoughts) {
      thoughtTitle.textContent = thinksNow ? "Thinking …" : "Thoughts";
      if (thought.textContent !== thoughts) {
        const atEnd = thought.scrollHeight - thought.scrollTop - thought.clientHeight < 30;
        thought.textContent = thoughts;
        if (atEnd) thought.scrollTop = thought.scrollHeight;
      }
      // Open while it thinks, closed once it speaks; what the reader did to it stays.
      if (thinksNow && !opened) { thinking.open = true; opened = true; }
      if (!thinksNow && opened) { thinking.open = false; opened = false; }
    }
    render(text, content);
    callViews(calls, message, streaming);
    element.setAttribute("aria-busy", String(Boolean(streaming)));
    foot.hidden = streaming;
    if (streaming) return;
    calls.querySelector(".answering-form")?.remove();
    if (message.calls?.length && actions.results) calls.append(resultForm(message, actions.results));
    const note = [error && h("p", { class: "error", role: "alert" }, error)].filter(Boolean);
    foot.replaceChildren(copyButton(() => content), iconButton("again", "Another answer", actions.again), h("span", { class: "figures" }, figures(message)));
    element.querySelectorAll(":scope > .error").forEach((old) => old.remove());
    foot.before(...note);
    if (!said && !error) text.replaceChildren(h("p", { class: "muted" }, "The answer is empty."));
  };
  return element;
}

function callViews(target, message, streaming) {
  (message.calls ?? []).forEach((call, index) => {
    let box = target.children[index];
    if (!box?.matches?.("details")) {
      box = h("details", { class: "call", open: true }, h("summary", {}, icon("tool"), "Calls ", h("b")), h("div", { class: "inside" }, h("pre")));
      target.insertBefore(box, target.children[index] ?? null);
    }
    box.querySelector("b").textContent = call.name;
    box.querySelector("pre").textContent = streaming ? call.arguments : pretty(call.arguments);
  });
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function resultForm(message, done) {
  const fields = message.calls.map((call) => h("textarea", { class: "code", rows: 2, required: true, placeholder: "What the tool answers" }));
  const labels = fields.map((field, at) => h("label", {}, `Result of ${message.calls[at].name}`, field));
  const submit = (event) => {
    event.preventDefault();
    done(message.calls.map((call, at) => ({ role: "tool", id: call.id, name: call.name, content: fields[at].value })));
  };
  const send = h("button", { type: "submit", class: "primary" }, "Go on with this");
  return h("form", { class: "call answering-form", onsubmit: submit }, ...labels, h("div", { class: "answering" }, send));
}

const seconds = (ms) => (ms < 950 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

function figures({ figures: known, reason, model }) {
  const parts = [model];
  if (known) {
    if (known.answer) parts.push(`${known.answer} tokens`);
    if (known.answer > 1 && known.rest > 0) parts.push(`${((known.answer - 1) / known.rest * 1000).toFixed(1)} tokens/s`);
    parts.push(`first after ${seconds(known.first)}`);
    if (known.cached) parts.push(`${Math.round(100 * known.cached / known.prompt)} % of the prompt cached`);
  }
  if (reason === "length") parts.push("cut at the longest answer");
  if (reason === "stopped") parts.push("stopped");
  return parts.filter(Boolean).join(" · ");
}
