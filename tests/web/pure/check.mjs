// What the tests of the pure modules are made of. They run in node, or in the browser, alike.

export function equal(found, wanted, what = "") {
  if (!Object.is(found, wanted)) throw new Error(`${what ? `${what}: ` : ""}found ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`);
}

export function same(found, wanted, what = "") {
  equal(JSON.stringify(found), JSON.stringify(wanted), what);
}

export function ok(value, what) {
  if (!value) throw new Error(what);
}

export function row(id, more = {}) {
  const [kind, ...rest] = id.split("/");
  const namespace = rest.length > 1 ? { namespace: rest[0] } : {};
  return { id, kind, ...namespace, name: rest[rest.length - 1], state: "Bound", level: "ok", note: "", facts: {}, links: [], ...more };
}

/** Run the tests of all files; return [{name, error}]. `load` imports a module of the page. */
export async function run(load, files) {
  const results = [];
  for (const { default: tests } of files) {
    for (const [name, test] of Object.entries(await tests(load))) {
      try {
        await test();
        results.push({ name, error: null });
      } catch (error) {
        results.push({ name, error: String(error.stack ?? error) });
      }
    }
  }
  return results;
}
