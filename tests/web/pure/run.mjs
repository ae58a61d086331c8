// Run the tests of the pure modules with node: node run.mjs STATIC_FOLDER; the results are one line of JSON.

import { pathToFileURL } from "node:url";
import { run } from "./check.mjs";
import * as columns from "./columns.mjs";
import * as journal from "./journal.mjs";
import * as store from "./store.mjs";
import * as words from "./words.mjs";

const folder = pathToFileURL(`${process.argv[2]}/`);
const load = (name) => import(new URL(name, folder));
console.log(JSON.stringify(await run(load, [store, journal, columns, words])));
