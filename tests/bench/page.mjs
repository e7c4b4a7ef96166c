// Opens the page of the tour or of a benchmark in headless Chromium: no console message, drawn to its end, nothing that is no figure.
// usage: node page.mjs CHROMIUM PAGE.html
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const [chromium, page] = process.argv.slice(2);
const profile = mkdtempSync(join(tmpdir(), "acre-page-"));
const result = spawnSync(chromium, ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--no-first-run", "--enable-logging=stderr", `--user-data-dir=${profile}`,
  "--window-size=1200,2000", "--virtual-time-budget=5000", "--dump-dom", `file://${resolve(page)}`], { encoding: "utf8", maxBuffer: 1 << 28 });
rmSync(profile, { recursive: true, force: true });

const failures = [];
const check = (isTrue, sentence) => { if (!isTrue) failures.push(sentence); };
const dom = (result.stdout || "").replace(/<script[\s\S]*?<\/script>/g, "");
const plots = dom.match(/class="plot"/g) || [];

check(result.status === 0, `chromium ended with ${result.status}: ${result.stderr}`);
for (const line of (result.stderr || "").split("\n")) check(!line.includes("CONSOLE"), `the console says: ${line}`);
check(/<main[^>]*data-ready="true"/.test(dom), "the page is not drawn to its end");
check((dom.match(/<canvas/g) || []).length >= plots.length, "a plot has no canvas");
check((dom.match(/<tr/g) || []).length > 2, "the page has no table");
check(!/(src|href)="https?:/.test(dom), "the page loads something from outside");
check(!/NaN|undefined|\[object/.test(dom.replace(/<style[\s\S]*?<\/style>/g, "")), "the page shows NaN, undefined or an object");

for (const sentence of failures) console.error(`failed: ${sentence}`);
process.exit(failures.length === 0 ? 0 : 1);
