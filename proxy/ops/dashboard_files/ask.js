// How are the other pages of the admin listener asked? With the token where there is one, which this tab keeps.

const KEY = "sitecache token";
const PATIENCE = 15000;
const offers = (document.body.dataset.offers ?? "").split(" ");

export const canPurge = offers.includes("purge");

/** The token is missing, or is not this one. */
export class Refused extends Error {}

/** The answer was an error that is meant to be read. */
export class Told extends Error {}

export const keeper = {
  get() { try { return sessionStorage.getItem(KEY); } catch { return this.held ?? null; } },
  keep(token) { this.held = token; try { sessionStorage.setItem(KEY, token); } catch { /* It lives as long as the page. */ } },
  forget() { this.held = null; try { sessionStorage.removeItem(KEY); } catch { /* There was none. */ } },
};

export const wantsToken = () => offers.includes("token") && !keeper.get();

export const get = (path, query) => ask(query ? `${path}?${new URLSearchParams(query)}` : path, {});

export const post = (path, value) => ask(path, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(value),
});

async function ask(path, given) {
  const token = keeper.get();
  const headers = { ...given.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  // Without credentials no browser asks for a password in a window of its own.
  const how = { credentials: "omit", cache: "no-store", redirect: "error", signal: AbortSignal.timeout(PATIENCE) };
  const response = await fetch(path, { ...how, ...given, headers });
  if (response.status === 401) throw new Refused();
  const text = await response.text();
  let value;
  try { value = JSON.parse(text); } catch { throw new Told(text.trim().slice(0, 200) || `status ${response.status}`); }
  if (!response.ok) throw new Told(value.error ?? (named(value.failed) || `status ${response.status}`));
  return value;
}

/** What each of several parts says, as one line. */
const named = (parts) => Object.entries(parts ?? {}).map(([name, why]) => `${name}: ${why}`).join("; ");
