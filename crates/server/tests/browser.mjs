// The page in a real browser: what the tests of Rust cannot see. Not a part of `cargo test`, for it needs Chromium:
//
//   npm install --no-save playwright-core
//   cargo run --release -p olivine-server --example scripted -- crates/server/tests/browser.jsonl 18434 8 &
//   node crates/server/tests/browser.mjs http://127.0.0.1:18434 [FOLDER FOR SCREENSHOTS]
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [base, folder] = process.argv.slice(2);
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });
const wrong = [];

async function open(width, height, colorScheme, phone) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, hasTouch: phone, isMobile: phone });
  const page = await context.newPage();
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("request", (request) => request.url().startsWith(base) || wrong.push(`asked for ${request.url()}`));
  await page.goto(base);
  await page.waitForSelector("#model option", { state: "attached" });
  return page;
}

const shot = (page, name) => folder && page.screenshot({ path: `${folder}/${name}.png` });
const ended = (page, count) => page.waitForFunction((count) => document.querySelectorAll(".message.assistant[aria-busy=false]").length >= count, count);
const last = (page, selector) => page.locator(`.message.assistant:last-child ${selector}`);

async function ask(page, text, model) {
  if (model) await page.selectOption("#model", model);
  await page.fill("#prompt", text);
  await page.press("#prompt", "Enter");
}

// Streaming, thinking, markdown.
const page = await open(1360, 860, "light", false);
await shot(page, "empty");
await ask(page, "What is a prefix cache?", "script");
await page.waitForSelector(".thinking[open]");
await shot(page, "thinking");
await ended(page, 1);
assert.equal(await page.locator(".thinking[open]").count(), 0, "thoughts close when the answer is there");
for (const [selector, count] of [["h1", 1], ["ol li", 5], ["table td", 9], ["blockquote", 1], ["pre code", 1], [".s-comment", 1], ["a", 2], ["del", 1], ["input[type=checkbox]", 2]]) {
  assert.equal(await last(page, `.text ${selector}`).count(), count, selector);
}
assert.match(await last(page, ".text").innerText(), /snake_case_name stays as it is, and 2 \* 3 \* 4 too/);
assert.match(await last(page, ".figures").innerText(), /script · 412 tokens · [\d.]+ tokens\/s/);

// The live view.
await page.keyboard.press("Alt+l");
await page.waitForSelector("#live .card h3");
assert.match(await page.locator("#live").innerText(), /answering now[\s\S]*waiting[\s\S]*script[\s\S]*keys and values/);
await shot(page, "live");

// A call of a tool, its result, the answer.
await page.keyboard.press("Alt+p");
await page.fill("[name=tools]", JSON.stringify([{ type: "function", function: { name: "get_weather", parameters: { type: "object", properties: { city: { type: "string" } } } } }]));
await page.keyboard.press("Alt+n");
await ask(page, "How is the weather in Paris?");
await ended(page, 1);
assert.equal(await last(page, ".call summary b").innerText(), "get_weather");
assert.deepEqual(JSON.parse(await last(page, ".call pre").innerText()), { city: "Paris", unit: "celsius" });
await shot(page, "call");
await page.fill(".answering-form textarea", '{"temperature": 18}');
await page.click(".answering-form button");
await ended(page, 2);
assert.equal(await last(page, ".text strong").innerText(), "18 °C");

// What a model writes stays text.
await ask(page, "inject");
await ended(page, 3);
assert.match(await last(page, ".text").innerText(), /<img src=x onerror=alert\(1\)> and <script>alert\(2\)<\/script>/);
assert.equal(await last(page, ".text img, .text script").count(), 0);
assert.deepEqual(await last(page, ".text a").evaluateAll((links) => links.map((link) => link.href)), ["http://evil.example/x.png", "https://example.org/a_(b)"]);
await shot(page, "safe");

// Answers being made are listed, and can be ended from there.
await page.keyboard.press("Alt+n");
await ask(page, "What is a prefix cache?");
await page.keyboard.press("Alt+l");
await page.click("#live .request button");
await ended(page, 1);
assert.match(await last(page, ".error").innerText(), /cancelled/);

// Stop; then the chats are still there after a reload.
await page.keyboard.press("Alt+n");
await ask(page, "What is a prefix cache?");
await page.waitForSelector(".thinking");
await page.keyboard.press("Escape");
await ended(page, 1);
assert.match(await last(page, ".figures").innerText(), /stopped/);
await page.reload();
await page.waitForSelector("#chats li");
assert.equal(await page.locator("#chats li").count(), 4);

// Dark, a real model; a phone.
const dark = await open(1360, 860, "dark", false);
await ask(dark, "What is the capital of France?", "mica");
await ended(dark, 1);
assert.match(await last(dark, ".text").innerText(), /Paris/);
await shot(dark, "dark");
const phone = await open(390, 844, "light", true);
await shot(phone, "phone");
await ask(phone, "What is a prefix cache?", "script");
await ended(phone, 1);
assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing sticks out");
await shot(phone, "phone-answer");
await phone.click("[data-panel=live]");
await phone.waitForSelector("#live .card h3");
await shot(phone, "phone-live");

assert.deepEqual(wrong, []);
await browser.close();
console.log("the page works");
