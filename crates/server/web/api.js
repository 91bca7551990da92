// Calls to the server that served this page. Invariant: every failure becomes an Error whose message may be shown.

const KEY = "olivine.key";
let askForKey = async () => null;

/** `ask` opens the dialog that wants a key. */
export function onKeyWanted(ask) {
  askForKey = ask;
}

/** A request; asks for a key once where the server wants one. */
export async function request(path, options = {}) {
  const answer = await send(path, options);
  if (answer.status === 401) {
    const key = await askForKey();
    if (key) {
      sessionStorage.setItem(KEY, key);
      const again = await send(path, options);
      if (again.ok) return again;
      if (again.status === 401) sessionStorage.removeItem(KEY);
      throw new Error(await message(again));
    }
  }
  if (!answer.ok) throw new Error(await message(answer));
  return answer;
}

/** A JSON document. */
export async function json(path, options) {
  return (await request(path, options)).json();
}

/** What a GET without a question says, or null: for what is asked again and again. */
export async function quietly(path) {
  try {
    const answer = await send(path, {});
    return answer.ok ? await answer.text() : null;
  } catch {
    return null;
  }
}

async function send(path, { method, body, signal } = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...(body ? { "content-type": "application/json" } : {}), ...(key ? { authorization: `Bearer ${key}` } : {}) };
  try {
    return await fetch(path, { method: method ?? (body ? "POST" : "GET"), headers, signal, body: body && JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is it still running?");
  }
}

async function message(answer) {
  const text = await answer.text().catch(() => "");
  let said = text;
  try {
    const { error } = JSON.parse(text);
    said = error?.message ?? error ?? text;
  } catch { /* It was no JSON: its text is all there is. */ }
  const after = answer.headers.get("retry-after");
  return `${said || `The server answered ${answer.status}.`}${after ? ` Try again in ${after} s.` : ""}`;
}

/** The data of a stream of server-sent events, parsed, up to its end. */
export async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (true) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    const frames = rest.split("\n\n");
    rest = frames.pop();
    for (const frame of frames) {
      const data = frame.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim()).join("\n");
      if (data === "[DONE]") return;
      if (data) yield JSON.parse(data);
    }
  }
}
