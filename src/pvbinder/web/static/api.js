// Questions to the server. Each answer is {value} or {error, status}; nothing is thrown.

async function ask(path, options = {}) {
  try {
    const response = await fetch(path, { credentials: "same-origin", ...options });
    const isJson = (response.headers.get("content-type") ?? "").includes("json");
    const value = isJson ? await response.json() : null;
    if (response.ok && isJson) return { value, status: response.status };
    return { error: value?.error ?? `the server answers ${response.status}`, status: response.status, isJson };
  } catch (error) {
    if (error.name === "AbortError") return { error: "", status: -1 };
    return { error: "the server can't be reached", status: 0 };
  }
}

export function info() {
  return ask("/api/info");
}

/** Ask what `explain` says of a row. */
export function explain({ kind, namespace, name }, signal) {
  const query = new URLSearchParams({ kind, name });
  if (namespace) query.set("namespace", namespace);
  return ask(`/api/explain?${query}`, { signal });
}

/** Ask for decisions before number `seq`. */
export function decisions(seq) {
  return ask(`/api/decisions?before=${seq}&limit=500`);
}

/** Ask for the text of a rule. */
export function rule(id) {
  return ask(`/api/rule?id=${encodeURIComponent(id)}`);
}

/** Ask what would become of manifests. */
export function plan(manifests) {
  return ask("/api/plan", { method: "POST", body: manifests, headers: { "Content-Type": "text/plain", "X-Pvbinder": "1" } });
}
