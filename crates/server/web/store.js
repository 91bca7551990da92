// What stays in this browser: chats and settings. Invariant: a full or forbidden store costs the memory of chats, the
// oldest first, and nothing else.

const CHATS = "olivine.chats";
const SETTINGS = "olivine.settings";
const MOST = 200;

function read(key, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export const settings = { theme: "auto", model: "", panel: "", parameters: {}, ...read(SETTINGS, {}) };
export const chats = read(CHATS, []);

/** Keeps the settings. */
export function saveSettings() {
  try {
    localStorage.setItem(SETTINGS, JSON.stringify(settings));
  } catch { /* Private windows may refuse: the settings then last as long as the page. */ }
}

/** Keeps the chats, the latest first. */
export function saveChats() {
  chats.sort((a, b) => b.updated - a.updated);
  chats.length = Math.min(chats.length, MOST);
  for (let count = chats.length; count >= 0; count -= 1 + (count >> 3)) {
    try {
      localStorage.setItem(CHATS, JSON.stringify(chats.slice(0, count)));
      return;
    } catch { /* No room: with fewer. */ }
  }
}

/** A chat with nothing said yet; it is kept once something is. */
export function newChat() {
  return { id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, title: "", updated: Date.now(), messages: [] };
}
