// Markdown → elements. Invariant: every character of the source ends up in a text node or in an address that begins
// with http(s) or mailto; nothing is parsed as HTML, and pictures are links, so that no text can make the page fetch.

import { copyButton, h } from "./dom.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^\s`]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})(?:\s+(.*?))?(?:\s+#+)?\s*$/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])(?:( +)(.*)|\s*)$/;
const DASHES = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
const DEPTH = 12;

/** Renders `source` into `target`; blocks that have not changed since the last time stay as they are. */
export function render(target, source) {
  const blocks = split(source.replace(/\r\n?/g, "\n").replace(/\t/g, "    ").split("\n"));
  const known = target.rendered ?? [];
  let same = 0;
  while (same < blocks.length && same < known.length && known[same] === key(blocks[same])) same += 1;
  while (target.childNodes.length > same) target.lastChild.remove();
  for (const block of blocks.slice(same)) target.append(element(block, 0));
  target.rendered = blocks.map(key);
}

const key = (block) => `${block.kind}\n${block.info ?? ""}\n${block.lines.join("\n")}`;
const isBlank = (line) => /^\s*$/.test(line);

/** Lines → blocks: `kind`, its `lines` without the markers, and what the kind needs beside them. */
function split(lines) {
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    if (isBlank(lines[at])) { at += 1; continue; }
    const block = fence(lines, at) ?? heading(lines, at) ?? quote(lines, at) ?? list(lines, at) ?? table(lines, at) ?? paragraph(lines, at);
    blocks.push(block);
    at = block.next;
  }
  return blocks;
}

function fence(lines, at) {
  const open = FENCE.exec(lines[at]);
  if (!open) return null;
  const close = new RegExp(`^ {0,3}${open[1][0]}{${open[1].length},}\\s*$`);
  let end = at + 1;
  while (end < lines.length && !close.test(lines[end])) end += 1;
  return { kind: "code", info: open[2], lines: lines.slice(at + 1, end), next: end + 1 };
}

function heading(lines, at) {
  const found = HEADING.exec(lines[at]);
  if (found) return { kind: "heading", info: found[1].length, lines: [found[2] ?? ""], next: at + 1 };
  return RULE.test(lines[at]) ? { kind: "rule", lines: [], next: at + 1 } : null;
}

function quote(lines, at) {
  if (!QUOTE.test(lines[at])) return null;
  let end = at;
  const inner = [];
  while (end < lines.length && (QUOTE.test(lines[end]) || (!isBlank(lines[end]) && !begins(lines, end)))) {
    inner.push(lines[end].replace(QUOTE, ""));
    end += 1;
  }
  return { kind: "quote", lines: inner, next: end };
}

function list(lines, at) {
  const first = ITEM.exec(lines[at]);
  if (!first || first[1].length > 3) return null;
  const ordered = /\d/.test(first[2]);
  const items = [];
  let offset = 0;
  let end = at;
  while (end < lines.length) {
    const line = lines[end];
    const item = ITEM.exec(line);
    if (item && !RULE.test(line) && item[1].length < Math.max(offset, 2)) {
      if (/\d/.test(item[2]) !== ordered) break;
      offset = item[1].length + item[2].length + Math.min(item[3]?.length ?? 1, 4);
      items.push([item[4] ?? ""]);
    } else if (isBlank(line)) {
      const next = lines.slice(end + 1).find((later) => !isBlank(later));
      const goesOn = next !== undefined && (indent(next) >= offset || (ITEM.test(next) && !RULE.test(next)));
      if (!goesOn) break;
      items.at(-1).push("");
    } else if (indent(line) >= Math.min(offset, 2)) {
      items.at(-1).push(line.slice(Math.min(offset, indent(line))));
    } else if (items.at(-1).at(-1) !== "" && !begins(lines, end)) {
      items.at(-1).push(line);
    } else break;
    end += 1;
  }
  return { kind: "list", info: ordered ? parseInt(first[2], 10) : "", items, lines: lines.slice(at, end), next: end };
}

const indent = (line) => line.length - line.trimStart().length;

function table(lines, at) {
  if (!isTable(lines, at)) return null;
  let end = at + 2;
  while (end < lines.length && !isBlank(lines[end]) && lines[end].includes("|")) end += 1;
  return { kind: "table", lines: lines.slice(at, end), next: end };
}

const isTable = (lines, at) => lines[at].includes("|") && at + 1 < lines.length && lines[at + 1].includes("-")
  && DASHES.test(lines[at + 1]) && cells(lines[at]).length === cells(lines[at + 1]).length;

/** Whether a line begins another block than a paragraph. */
function begins(lines, at) {
  const line = lines[at];
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line) && indent(line) < 4 || isTable(lines, at);
}

function paragraph(lines, at) {
  let end = at + 1;
  while (end < lines.length && !isBlank(lines[end]) && !begins(lines, end)) end += 1;
  return { kind: "paragraph", lines: lines.slice(at, end), next: end };
}

function element(block, depth) {
  switch (block.kind) {
    case "code": return code(block);
    case "heading": return inline(h(`h${block.info}`), block.lines[0], depth);
    case "rule": return h("hr");
    case "quote": return fill(h("blockquote"), block.lines, depth);
    case "list": return listElement(block, depth);
    case "table": return tableElement(block, depth);
    default: return inline(h("p"), block.lines.map((line) => line.trimStart()).join("\n"), depth);
  }
}

function fill(target, lines, depth) {
  if (depth >= DEPTH) target.append(lines.join("\n"));
  else target.append(...split(lines).map((block) => element(block, depth + 1)));
  return target;
}

function listElement(block, depth) {
  const loose = block.items.some((lines) => lines.slice(0, -1).includes(""));
  const items = block.items.map((lines) => {
    const task = /^\[([ xX])\] (.*)$/.exec(lines[0] ?? "");
    const item = h("li", { class: task ? "task" : undefined });
    if (task) item.append(h("input", { type: "checkbox", checked: task[1] !== " ", disabled: true }), " ");
    fill(item, task ? [task[2], ...lines.slice(1)] : lines, depth);
    if (!loose) item.querySelectorAll(":scope > p").forEach((p) => p.replaceWith(...p.childNodes));
    return item;
  });
  return block.info === "" ? h("ul", {}, ...items) : h("ol", { start: block.info }, ...items);
}

function cells(line) {
  const inner = line.trim().replace(/^\|/, "").replace(/(^|[^\\])\|$/, "$1");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replace(/\\\|/g, "|"));
}

function tableElement(block, depth) {
  const sides = cells(block.lines[1]).map((dashes) => {
    if (dashes.endsWith(":")) return dashes.startsWith(":") ? "center" : "right";
    return undefined;
  });
  const row = (line, tag) => h("tr", {}, ...cells(line).slice(0, sides.length).map((text, at) => inline(h(tag, { class: sides[at] }), text, depth)));
  const head = h("thead", {}, row(block.lines[0], "th"));
  const body = h("tbody", {}, ...block.lines.slice(2).map((line) => row(line, "td")));
  return h("div", { class: "table" }, h("table", {}, head, body));
}

function code(block) {
  const text = block.lines.join("\n");
  const inner = h("code");
  highlight(inner, text, block.info.toLowerCase());
  const head = h("div", {}, h("span", {}, block.info || "text"), copyButton(() => text));
  return h("div", { class: "block" }, head, h("pre", { tabIndex: 0 }, inner));
}

const CLOSE_REACH = 4000;
const MARKS = ["***", "**", "__", "~~", "*", "_"];
const WRAP = { "***": ["strong", "em"], "**": ["strong"], "__": ["strong"], "~~": ["del"], "*": ["em"], _: ["em"] };
const ADDRESS = /https?:\/\/[^\s<>"'`\]]*[^\s<>"'`\].,;:!?)*_~]/y;
const LINK = /!?\[((?:[^\[\]\\\n]|\\.|\[[^\[\]]*\])*)\]\(\s*<?([^\s<>()]*(?:\([^\s()]*\)[^\s<>()]*)*)>?(?:\s+["'(][^"'\n]*["')])?\s*\)/y;

/** Text with emphasis, code and links → nodes in `target`. */
function inline(target, text, depth) {
  let plain = "";
  const flush = () => { if (plain) target.append(plain); plain = ""; };
  const put = (node, length) => { flush(); target.append(node); at += length; };
  let at = 0;
  while (at < text.length) {
    const char = text[at];
    if (char === "\\" && at + 1 < text.length && /[!-/:-@[-`{-~]/.test(text[at + 1])) { plain += text[at + 1]; at += 2; continue; }
    if (char === "\n" || (char === "\\" && text[at + 1] === "\n")) { plain = plain.trimEnd(); put(h("br"), char === "\n" ? 1 : 2); continue; }
    const found = char === "`" ? codeSpan(text, at) : "*_~".includes(char) ? emphasis(text, at, depth) : "[!h<".includes(char) ? link(text, at, depth) : null;
    if (found) { put(found.node, found.length); continue; }
    // A run of marks that opens nothing is taken whole, so that none of it is tried again.
    const run = "`*_~".includes(char) ? /^(.)\1*/s.exec(text.slice(at, at + 200))[0] : char;
    plain += run;
    at += run.length;
  }
  flush();
  return target;
}

function codeSpan(text, at) {
  const ticks = /^`+/.exec(text.slice(at, at + 200))[0];
  let end = text.indexOf(ticks, at + ticks.length);
  while (end >= 0 && text[end + ticks.length] === "`") {
    while (text[end] === "`") end += 1;
    end = text.indexOf(ticks, end);
  }
  if (end < 0) return null;
  const inner = text.slice(at + ticks.length, end).replace(/\n/g, " ");
  const trimmed = /^ .*[^ ].* $/.test(inner) ? inner.slice(1, -1) : inner;
  return { node: h("code", {}, trimmed), length: end + ticks.length - at };
}

const isWord = (char) => char !== undefined && /[\p{L}\p{N}]/u.test(char);

function emphasis(text, at, depth) {
  if (depth >= DEPTH) return null;
  const mark = MARKS.find((mark) => text.startsWith(mark, at));
  if (!mark) return null;
  const start = at + mark.length;
  if (start >= text.length || /\s/.test(text[start]) || (mark[0] === "_" && isWord(text[at - 1]))) return null;
  const end = closing(text, start, mark);
  if (end < 0) return null;
  const tags = WRAP[mark];
  const inner = inline(h(tags.at(-1)), text.slice(start, end), depth + 1);
  return { node: tags.length > 1 ? h(tags[0], {}, inner) : inner, length: end + mark.length - at };
}

function closing(text, start, mark) {
  const last = Math.min(text.length, start + CLOSE_REACH);
  for (let at = start; at < last; at += 1) {
    if (text[at] === "\\") { at += 1; continue; }
    if (text[at] === "`") { const span = codeSpan(text, at); if (span) at += span.length - 1; continue; }
    if (!text.startsWith(mark, at)) continue;
    let run = at;
    while (text[run] === mark[0]) run += 1;
    const fits = at > start && !/\s/.test(text[at - 1]) && !(mark[0] === "_" && isWord(text[run]));
    // `*a **b** c*`: the inner pair is another's.
    if (fits && (mark.length > 1 || run - at !== 2)) return run - at > mark.length ? run - mark.length : at;
    at = run - 1;
  }
  return -1;
}

function link(text, at, depth) {
  if (text[at] === "<") {
    const found = /^<((?:https?:\/\/|mailto:)[^\s<>]+)>/.exec(text.slice(at, at + 2000));
    return found && anchor(found[1], h("a", {}, found[1].replace(/^mailto:/, "")), found[0].length);
  }
  if (text[at] === "h") {
    ADDRESS.lastIndex = at;
    const found = isWord(text[at - 1]) ? null : ADDRESS.exec(text);
    return found && anchor(found[0], h("a", {}, found[0]), found[0].length);
  }
  LINK.lastIndex = at;
  const found = LINK.exec(text);
  if (!found || depth >= DEPTH) return null;
  return anchor(found[2], inline(h("a"), found[1] || found[2], DEPTH), found[0].length);
}

/** A link where the address is one that may be followed, its text otherwise. */
function anchor(address, node, length) {
  if (!/^(https?:\/\/|mailto:)/i.test(address)) return { node: h("span", {}, ...node.childNodes), length };
  node.href = address;
  node.target = "_blank";
  node.rel = "noopener noreferrer nofollow";
  node.title = address;
  return { node, length };
}

const HASH = new Set("py python sh bash zsh shell console yaml yml toml ruby rb r perl make makefile dockerfile elixir julia nix conf ini".split(" "));
const DASH = new Set("sql lua haskell hs ada elm".split(" "));
const PLAIN = new Set(["", "text", "txt", "plain", "output", "markdown", "md", "diff", "csv"]);
const WORDS = new Set(("abstract and as assert async await auto begin bool boolean break case catch char class const continue crate def default defer del delete do double elif else end enum "
  + "esac except export extends extern False false fi final finally float fn for foreach from func function global go goto if impl implements import in include inline instanceof int interface is "
  + "lambda let local long loop match mod module move mut namespace new nil None nonlocal not null nullptr or override package pass private protected pub public raise ref require return self select "
  + "SELECT FROM WHERE INSERT UPDATE DELETE JOIN GROUP ORDER BY AND OR NOT NULL CREATE TABLE INTO VALUES LIMIT ON AS "
  + "short signed sizeof static string struct super switch template then this throw throws trait True true try type typedef typename typeof undefined union unsafe unsigned use using val var virtual void volatile when where while with yield").split(" "));

/** Words, strings, numbers and comments of nearly any language; what it does not know stays plain. */
function highlight(target, text, language) {
  if (PLAIN.has(language) || text.length > 60_000) { target.append(text); return; }
  const comment = HASH.has(language) ? "#[^\\n]*" : DASH.has(language) ? "--[^\\n]*" : "\\/\\/[^\\n]*|\\/\\*[\\s\\S]*?(?:\\*\\/|$)|<!--[\\s\\S]*?(?:-->|$)";
  const string = "\"(?:[^\"\\\\\\n]|\\\\.)*\"|'(?:[^'\\\\\\n]|\\\\.)*'|`(?:[^`\\\\]|\\\\.)*`";
  const scan = new RegExp(`(${comment})|("""[\\s\\S]*?(?:"""|$)|${string})|(\\b\\d[\\w.]*)|([A-Za-z_]\\w*)`, "g");
  let end = 0;
  for (const found of text.matchAll(scan)) {
    const kind = found[1] ? "s-comment" : found[2] ? "s-text" : found[3] ? "s-number" : WORDS.has(found[4]) ? "s-key" : null;
    if (!kind) continue;
    target.append(text.slice(end, found.index), h("span", { class: kind }, found[0]));
    end = found.index + found[0].length;
  }
  target.append(text.slice(end));
}
