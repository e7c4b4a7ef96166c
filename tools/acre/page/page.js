// The report page: draws what the JSON document in #data says. No state but the chosen process and flame measure.
"use strict";

(() => {
  const report = JSON.parse(document.getElementById("data").textContent);
  const page = document.getElementById("page");
  const { uPlot, flamegraph, select } = window.vendor;
  const measures = [
    { name: "Allocated", tells: "bytes allocated over the whole run, freed or not" },
    { name: "Live at the peak", tells: "bytes that were in use when the program used most" },
    { name: "Not freed", tells: "bytes still in use at the end" },
  ];
  let measure = 0;
  let drawn = []; // plots of the shown process: destroyed before the next one is drawn

  // --- words and numbers ---

  const three = (value) => (value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2)).replace(/\.0+$/, "");

  function bytes(value) {
    if (value === null || value === undefined) return "–";
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    while (Math.abs(value) >= 1023.5 && unit < units.length - 1) { value /= 1024; unit++; }
    return `${unit === 0 ? Math.round(value) : three(value)} ${units[unit]}`;
  }

  function duration(ns) {
    const units = [["ns", 1000], ["µs", 1000], ["ms", 1000], ["s", 60], ["min", 60], ["h", 1e9]];
    let unit = 0;
    while (ns >= units[unit][1]) ns /= units[unit++][1];
    return `${three(ns)} ${units[unit][0]}`;
  }

  const count = (value) => value.toLocaleString("en-US");
  const percent = (share) => `${(share * 100).toFixed(share < 0.0995 ? 1 : 0)} %`;
  const baseName = (path) => (path || "").replace(/.*\//, "");
  const counted = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;
  const blocks = (n) => counted(n, "block", "blocks");

  function place(frame) {
    if (frame.file) return `${baseName(frame.file)}:${frame.line}`;
    return frame.module || "";
  }

  // --- elements ---

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name === "onclick" || name === "oninput" || name === "onchange") element[name] = value;
      else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  const section = (id, title, note, ...children) =>
    make("section", { id, "aria-labelledby": `${id}-title` },
      make("h2", { id: `${id}-title` }, title), note ? make("p", { class: "soft" }, note) : null, ...children);

  const whereIs = (frame) => [make("span", { class: "mono" }, frame.function), place(frame) ? make("span", { class: "soft" }, `  ${place(frame)}`) : ""];

  function stackList(stack, own) {
    let isMarked = false;
    return make("ol", { class: "stack mono" }, ...stack.map((frame) => {
      const isOwn = !isMarked && frame.function === own.function && place(frame) === place(own);
      isMarked = isMarked || isOwn;
      return make("li", { class: isOwn ? "own" : null, title: frame.file || frame.module }, frame.function,
        make("span", { class: "soft" }, `  ${place(frame)}${frame.inlined ? " (inlined)" : ""}`));
    }));
  }

  const stackDetails = (row) => (row.stack.length === 0
    ? make("span", {}, ...whereIs(row))
    : make("details", {}, make("summary", { title: "show the calls that lead here" }, ...whereIs(row)), stackList(row.stack, row)));

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  // --- plots ---

  const byteSteps = Array.from({ length: 48 }, (_, i) => 2 ** i);

  function axis(values, size, extra) {
    return Object.assign({ stroke: color("soft"), grid: { stroke: color("grid"), width: 1 }, ticks: { stroke: color("line"), width: 1 },
      font: "12px system-ui, sans-serif", values, size }, extra);
  }

  function draw(holder, options, data, label) {
    holder.setAttribute("role", "img");
    holder.setAttribute("aria-label", label);
    const width = () => Math.max(280, holder.clientWidth);
    const plot = new uPlot({ width: width(), ...options }, data, holder);
    const observer = new ResizeObserver(() => plot.setSize({ width: width(), height: options.height }));
    observer.observe(holder);
    holder.dataset.points = String(data.slice(1).reduce((sum, list) => sum + list.filter((v) => v !== null).length, 0));
    drawn.push(() => { observer.disconnect(); plot.destroy(); });
  }

  function line(label, name, values, width, fill) {
    return { label, stroke: color(name), width, fill, value: (_, v) => values(v), points: { show: false }, spanGaps: true };
  }

  const secondsAxis = () => axis((_, ticks) => ticks.map((t) => `${+t.toFixed(6)} s`), 34);
  const secondsSeries = { label: "time", value: (_, v) => (v === null ? "–" : `${v.toFixed(4)} s`) };

  function drawTime(process, holder) {
    const time = process.time;
    const series = [secondsSeries, line("live (used by the program)", "live", bytes, 2, `${color("live")}22`)];
    const data = [time.s, time.live_bytes];
    const add = (label, name, values) => {
      if (!values) return;
      series.push(line(label, name, bytes, 1.6));
      data.push(values);
    };
    add("committed (held by the heap)", "committed", time.committed_bytes);
    if (time.device_taken_bytes) {
      add("device (memory of devices)", "device", time.device_bytes);
      add("taken of drivers for that", "device-taken", time.device_taken_bytes);
    }
    add("RSS (whole process)", "rss", time.rss_bytes);
    draw(holder, { height: 300, series, scales: { x: { time: false }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.05 : 1] } },
      axes: [secondsAxis(), axis((_, ticks) => ticks.map(bytes), 76, { incrs: byteSteps })], cursor: { drag: { x: true, y: false } } },
      data, "Live, committed and resident memory over time");
  }

  function drawFragmentation(process, holder) {
    if (!process.time.fragmentation.some((v) => v !== null)) {
      holder.append(make("p", { class: "empty" }, "Not measured: the heap did not tell how much memory it held."));
      holder.dataset.points = "none";
      return;
    }
    const wasted = process.time.fragmentation.map((share, i) => (share === null ? null : share * (process.time.committed_bytes ? process.time.committed_bytes[i] : 0)));
    draw(holder, { height: 220, series: [secondsSeries, line("fragmentation", "dirty", (v) => (v === null ? "–" : percent(v)), 2, `${color("dirty")}22`),
      { ...line("that is", "soft", bytes, 1), scale: "bytes", show: true, stroke: "transparent" }],
      scales: { x: { time: false }, y: { range: [0, 1] }, bytes: { auto: true } },
      axes: [secondsAxis(), axis((_, ticks) => ticks.map((t) => `${Math.round(t * 100)} %`), 56)] },
      [process.time.s, process.time.fragmentation, wasted], "Share of the heap's memory that holds no live block, over time");
  }

  // Bars over named buckets: position i is bucket i.
  function drawBars(holder, names, first, firstName, second, secondName, label) {
    if (names.length === 0) {
      holder.append(make("p", { class: "empty" }, "Nothing was recorded."));
      holder.dataset.points = "none";
      return;
    }
    const positions = names.map((_, i) => i);
    const bars = uPlot.paths.bars({ size: [0.8, 60] });
    draw(holder, { height: 240, scales: { x: { time: false, range: [-0.6, names.length - 0.4] }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] }, bytes: { auto: true } },
      series: [{ label: "bucket", value: (_, v) => (v === null ? "–" : names[v]) },
        { label: firstName, stroke: color("live"), fill: `${color("live")}99`, width: 1, paths: bars, points: { show: false }, value: (_, v) => (v === null ? "–" : count(v)) },
        { label: secondName, scale: "bytes", stroke: "transparent", points: { show: false }, value: (_, v) => bytes(v) }],
      axes: [axis((_, ticks) => ticks.map((t) => (Number.isInteger(t) ? names[t] || "" : "")), 62,
        { splits: () => positions, rotate: -45, space: 1, filter: (_, ticks) => ticks.map((t) => (names.length <= 14 || t % 2 === 0 ? t : null)) }),
      axis((_, ticks) => ticks.map((t) => count(t)), 76)] },
      [positions, first, second], label);
  }

  function drawSizes(process, holder) {
    drawBars(holder, process.sizes.map((row) => `≤ ${bytes(row.up_to_bytes)}`), process.sizes.map((row) => row.count), "allocations",
      process.sizes.map((row) => row.bytes), "together", "How many allocations of which size");
  }

  function drawLives(process, holder) {
    const rows = process.lifetimes;
    const names = rows.map((row) => `≥ ${duration(row.from_ns)}`), counts = rows.map((row) => row.count), sums = rows.map((row) => row.bytes);
    if (process.totals.unfreed_count > 0) {
      names.push("never freed");
      counts.push(process.totals.unfreed_count);
      sums.push(process.totals.unfreed_bytes);
    }
    drawBars(holder, names, counts, "allocations", sums, "together", "How long allocations lived");
  }

  // --- flame graph ---

  function hue(text) {
    let hash = 7;
    for (const c of text) hash = (hash * 31 + c.codePointAt(0)) >>> 0;
    return hash;
  }

  // The program's own code is warm, libraries are cool, so that the eye finds one's own code.
  function flameColor(node, program) {
    if (node.highlight) return "#ff5fd2";
    const spread = hue(node.data.name) % 100;
    const isOwn = !node.data.module || node.data.module === program;
    return isOwn ? `hsl(${22 + spread * 0.3} 88% ${66 + (spread % 7) * 1.6}%)` : `hsl(${190 + spread * 0.4} 45% ${70 + (spread % 7) * 1.6}%)`;
  }

  function flameTree(node, which) {
    const children = node.children.filter((child) => child.bytes[which] > 0).map((child) => flameTree(child, which));
    return { name: node.name, module: node.module, value: node.bytes[which], children };
  }

  function depthOf(node) {
    return 1 + node.children.reduce((most, child) => Math.max(most, depthOf(child)), 0);
  }

  function drawFlame(process, parts) {
    const { holder, details, search } = parts;
    const total = process.flame.bytes[measure];
    holder.replaceChildren();
    details.textContent = "";
    holder.dataset.points = String(total > 0 ? process.flame.children.length : "none");
    if (!(total > 0)) {
      holder.append(make("p", { class: "empty" }, measure === 2 ? allFreed(process) : "Nothing was recorded."));
      return;
    }
    const tree = flameTree(process.flame, measure);
    tree.name = `all: ${bytes(total)}`;
    const tell = (d) => `${d.data.name}${d.data.module ? `  [${d.data.module}]` : ""}: ${bytes(d.value)} (${percent(d.value / total)})`;
    const graph = flamegraph().width(Math.max(280, holder.clientWidth)).cellHeight(19).inverted(true).minFrameSize(2).sort((a, b) => b.value - a.value)
      .transitionDuration(0).title("").tooltip(false).setLabelHandler(tell).setColorMapper((d) => flameColor(d, baseName(process.program)))
      .onHover((d) => { details.textContent = tell(d); });
    holder.style.height = `${depthOf(tree) * 19 + 8}px`;
    select(holder).datum(tree).call(graph);
    search.oninput = () => (search.value ? graph.search(search.value) : graph.clear());
    parts.reset.onclick = () => { search.value = ""; graph.clear(); graph.resetZoom(); };
  }

  function flameSection(process) {
    const holder = make("div", { id: "flame", class: "plot" });
    const details = make("p", { id: "flame-details", class: "mono soft", "aria-live": "polite" });
    const search = make("input", { type: "search", placeholder: "find a function", "aria-label": "find a function in the flame graph" });
    const reset = make("button", { type: "button" }, "Whole picture");
    const parts = { holder, details, search, reset };
    const note = make("p", { class: "soft" });
    const buttons = measures.map((item, i) => make("button", { type: "button", onclick: () => { measure = i; show(); } }, item.name));
    function show() {
      buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(i === measure)));
      note.textContent = `Wide means many bytes: ${measures[measure].tells}. A function stands below its caller; click one to enlarge it. Orange is the program's own code, blue are libraries.`;
      drawFlame(process, parts);
    }
    drawn.push(() => holder.replaceChildren());
    return { element: section("flames", "Which calls lead to the memory", null, make("div", { class: "bar-row", role: "group", "aria-label": "what the width means" }, ...buttons, make("span", { class: "grow" }), search, reset), note, details, holder), show };
  }

  // --- findings, tiles, tables ---

  const hasSamples = (process) => report.sample_bytes === 0 || process.totals.event_count > 0;
  const allFreed = (process) => (!hasSamples(process) ? "No allocation was sampled" : report.sample_bytes > 0 ? "Every block that was sampled was freed" : "Everything was freed");
  const estimate = (error) => (report.sample_bytes > 0 && error > 0 ? ` (estimate, ± ${bytes(error)})` : "");

  const unfreedLink = (text) => make("a", { href: "#unfreed" }, text);
  const card = (style, kicker, where, ...words) => make("div", { class: style }, make("div", { class: "kicker" }, kicker),
    make("div", { class: "where" }, where), make("p", {}, ...words));

  // What nothing points to is a leak; where that is not known, what kept growing looks like one.
  // A sampled run has counted all blocks that nothing points to; who made them is known of samples only.
  function leakFindings(process) {
    const totals = process.totals, cards = [], isKnown = totals.leaked_count !== null, lost = totals.all_leaked_count;
    const suspect = process.unfreed.find((row) => row.suspect && row.leaked_count === 0);
    const leak = process.unfreed.find((row) => row.leaked_count > 0);
    if (leak) {
      cards.push(card("finding warn", totals.leak_stack_count > 1 ? `Leaks most (1 of ${count(totals.leak_stack_count)})` : "Leaks", make("span", {}, ...whereIs(leak)),
        report.sample_bytes > 0 && lost !== null
          ? `lost about ${bytes(Math.min(leak.leaked_bytes, totals.all_leaked_bytes))} of the ${bytes(totals.all_leaked_bytes)} in ${blocks(lost)} that nothing points to any more${estimate(totals.leaked_bytes_error)}. `
          : `lost ${bytes(leak.leaked_bytes)} in ${blocks(leak.leaked_count)} that nothing points to any more${estimate(totals.leaked_bytes_error)}. `,
        unfreedLink("How it is called")));
    }
    if (!leak && lost > 0) {
      cards.push(card("finding warn", "Leaks", `${bytes(totals.all_leaked_bytes)} in ${blocks(lost)}`,
        "that nothing points to any more. None of them was sampled: acre run --record FILE tells who made them."));
    }
    if (suspect) {
      cards.push(card("finding warn", isKnown ? "Keeps growing" : totals.suspect_count > 1 ? `Looks like a leak (1 of ${count(totals.suspect_count)})` : "Looks like a leak", make("span", {}, ...whereIs(suspect)),
        `left ${bytes(suspect.bytes)} in ${blocks(suspect.count)} that were never freed, and kept growing to the end${estimate(suspect.bytes_error)}. ${isKnown ? "Something still points to them. " : ""}`,
        unfreedLink("How it is called")));
    }
    if (cards.length === 0 && totals.unfreed_count === 0) {
      cards.push(card("finding", lost === 0 ? "No leak" : "No leak seen", lost === 0 ? "Nothing is lost" : allFreed(process),
        report.sample_bytes === 0 ? "No block was left when the program ended." : lost === 0 ? "Something points to every block that was left." : "Small blocks that were left may not be among the samples."));
    } else if (cards.length === 0) {
      cards.push(card("finding", lost === 0 ? "No leak" : isKnown ? "No leak seen" : "No growing leak seen", `${bytes(totals.unfreed_bytes)} not freed at the end`,
        lost === 0 ? "Something points to all of it, and nothing among it kept growing. " : "Nothing among it kept growing: mostly what programs keep until they end. ", unfreedLink("What was not freed")));
    }
    return cards;
  }

  function findings(process) {
    const totals = process.totals, cards = [], top = process.sites[0];
    if (top) {
      cards.push(make("div", { class: "finding" }, make("div", { class: "kicker" }, "Allocates most"),
        make("div", { class: "where" }, ...whereIs(top)),
        make("p", {}, `${bytes(top.allocated_bytes)} in ${counted(top.allocated_count, "allocation", "allocations")}: ${percent(top.allocated_bytes / totals.allocated_bytes)} of all bytes allocated${estimate(top.allocated_bytes_error)}. `,
          make("a", { href: "#sites" }, "All call sites"))));
    }
    cards.push(...leakFindings(process));
    return make("div", { class: "findings" }, ...cards);
  }

  function tiles(process) {
    const t = process.totals;
    const tile = (name, value, note) => make("div", { class: "tile" }, make("div", { class: "name" }, name), make("div", { class: "value" }, value), make("div", { class: "note" }, note));
    return make("div", { class: "tiles" },
      tile("Most in use", t.peak_live_bytes === null ? "unknown" : bytes(t.peak_live_bytes), "peak live bytes of the program's blocks"),
      t.peak_committed_bytes > 0 ? tile("Held by heap", bytes(t.peak_committed_bytes), "peak committed memory") : null,
      t.peak_device_taken_bytes ? tile("On devices", bytes(t.peak_device_bytes), "peak, in " + bytes(t.peak_device_taken_bytes) + " taken of drivers") : null,
      tile("Whole process", t.peak_rss_bytes === null ? "unknown" : bytes(t.peak_rss_bytes), "peak RSS, code and stacks included"),
      t.fragmentation_at_peak === null ? null : tile("Fragmentation", percent(t.fragmentation_at_peak), "of the most that the heap held was not in use"),
      hasSamples(process) ? tile("Allocated in all", bytes(t.allocated_bytes), `${counted(t.allocated_count, "allocation", "allocations")}${estimate(t.allocated_bytes_error)}`)
        : tile("Allocated in all", "unknown", "too little for a sample"),
      t.all_leaked_count !== null ? tile("Leaked", bytes(t.all_leaked_bytes), `${blocks(t.all_leaked_count)} that nothing points to`)
        : t.leaked_count !== null ? tile("Leaked", bytes(t.leaked_bytes), `${blocks(t.leaked_count)} that nothing points to${estimate(t.leaked_bytes_error)}`) : null,
      !hasSamples(process) ? null : tile("Not freed", bytes(t.unfreed_bytes), `${blocks(t.unfreed_count)} at the end${estimate(t.unfreed_bytes_error)}`));
  }

  function share(value, most) {
    return make("td", { class: "n share" }, bytes(value), make("i", { style: `width:${most > 0 ? Math.max(0, Math.min(1, value / most)) * 76 : 0}px` }));
  }

  // A long table shows its first rows, and the rest when asked.
  function longTable(heads, rows, first) {
    const body = make("tbody", {}, ...rows.slice(0, first));
    const table = make("table", { class: "list" }, make("thead", {}, make("tr", {}, ...heads.map(([name, kind]) => make("th", { class: kind, scope: "col" }, name)))), body);
    const holder = make("div", {}, make("div", { class: "scroll" }, table));
    if (rows.length > first) {
      const more = make("button", { type: "button", onclick: () => { body.append(...rows.slice(first)); more.remove(); } }, `Show ${count(rows.length - first)} more`);
      holder.append(make("div", { class: "bar-row" }, more));
    }
    return holder;
  }

  function siteTable(process) {
    const most = Math.max(...process.sites.map((row) => row.allocated_bytes), 0);
    const rows = process.sites.map((row) => make("tr", {}, share(row.allocated_bytes, most), make("td", { class: "n" }, count(row.allocated_count)),
      make("td", { class: "n" }, bytes(row.peak_bytes)), make("td", { class: "n" }, bytes(row.unfreed_bytes)),
      make("td", { class: "n" }, row.mean_life_ns === null ? "never freed" : duration(row.mean_life_ns)), make("td", { class: "site" }, stackDetails(row))));
    return section("sites", "Who allocates", "The places in the code that ask for memory, most bytes first. Helpers around malloc are skipped: what stands here is their caller. Click a name for the calls that lead to it.",
      longTable([["Allocated", "n"], ["Times", "n"], ["In use at peak", "n"], ["Not freed", "n"], ["Mean life", "n"], ["Call site", ""]], rows, 12));
  }

  function unfreedTable(process) {
    const note = "Blocks that the program had not freed when it ended, by the calls that made them. " + (process.totals.leaked_count === null
      ? `Whether anything still points to them is not known: ${process.totals.no_leak_scan}. `
      : "'Leaked' is what nothing in the process pointed to when it ended; the rest was still reachable. ")
      + "'Later half' is the part from the later half of the time since the first such block: what comes in a burst has 0 %, what is renewed all the time 100 %. What was left evenly keeps growing, and is marked.";
    if (process.unfreed.length === 0) return section("unfreed", "Not freed", null, make("p", { class: "empty" }, allFreed(process)));
    const most = Math.max(...process.unfreed.map((row) => row.bytes));
    const rows = process.unfreed.map((row, i) => {
      const details = stackDetails(row);
      if (i === 0 && details.tagName === "DETAILS") details.open = true;
      return make("tr", {}, share(row.bytes, most), make("td", { class: "n" }, process.totals.leaked_count === null ? "not known" : bytes(row.leaked_bytes)), make("td", { class: "n" }, `${count(row.count)} of ${count(row.allocated_count)}`),
        make("td", { class: "n" }, percent(row.growth)), make("td", {}, row.leaked_count > 0 ? make("span", { class: "badge" }, "leak") : row.suspect ? make("span", { class: "badge" }, process.totals.leaked_count === null ? "leak?" : "grows") : ""), make("td", { class: "site" }, details));
    });
    return section("unfreed", "Not freed", note, longTable([["Bytes", "n"], ["Leaked", "n"], ["Blocks left of made", "n"], ["Later half", "n"], ["", ""], ["Made by", ""]], rows, 10));
  }

  function processTable(chosen, choose) {
    if (report.processes.length < 2) return null;
    const most = Math.max(...report.processes.map((p) => p.totals.peak_live_bytes));
    const rows = report.processes.map((p, i) => make("tr", {}, make("td", {}, p.time
      ? make("button", { type: "button", "aria-pressed": String(i === chosen), onclick: () => choose(i) }, `${p.process_id} ${p.name}`) : `${p.process_id} ${p.name}`),
      share(p.totals.peak_live_bytes, most), make("td", { class: "n" }, bytes(p.totals.peak_rss_bytes)), make("td", { class: "n" }, bytes(p.totals.allocated_bytes)),
      make("td", { class: "n" }, bytes(p.totals.unfreed_bytes)), make("td", { class: "site mono soft" }, p.command.length > 160 ? `${p.command.slice(0, 160)}…` : p.command)));
    return section("processes", `${count(report.processes.length)} processes`, "The program started others; the one with the highest peak comes first. Choose one to see its memory.",
      longTable([["Process", ""], ["Most in use", "n"], ["Peak RSS", "n"], ["Allocated", "n"], ["Not freed", "n"], ["Command", ""]], rows, 8));
  }

  function cautions(process) {
    const t = process.totals, lines = [];
    if (report.damage) lines.push(`The trace is not whole and was read as far as it is sound: ${report.damage}.`);
    if (t.dropped_event_count > 0) lines.push(`${count(t.dropped_event_count)} events were lost because the collector could not keep up: figures are too low.`);
    if (t.doubled_address_count > 0) lines.push(`${count(t.doubled_address_count)} blocks were handed out without a free before: some events are missing.`);
    if (t.unknown_free_count > 0) lines.push(`${count(t.unknown_free_count)} blocks were freed that this process did not allocate${process.is_fork ? ": it has them from its parent" : " while it was recorded"}.`);
    if (t.stack_wrong_count > 0) lines.push(`${count(t.stack_wrong_count)} of ${count(t.stack_audit_count)} cached call stacks that were checked named a wrong caller.`);
    if (report.sample_bytes > 0) lines.push(`Sampled: about one allocation in ${bytes(report.sample_bytes)} was recorded. Call sites and what was not freed are estimates; ± is one standard error. The curves are the heap's own counts, read every few milliseconds; they include rounding. Use acre run --record FILE for every allocation.`);
    return lines.length === 0 ? null : make("section", { class: "caution" }, make("h2", {}, "Before you rely on it"), make("ul", {}, ...lines.map((text) => make("li", {}, text))));
  }

  function glossary() {
    const words = [["live", "blocks that the program has allocated and not yet freed"], ["committed", "memory that the heap has from the system, for live blocks and for later ones"],
      ["RSS", "physical memory of the whole process: heap, code, stacks, mapped files; without the recording's own pages"], ["fragmentation", "the part of the committed memory that holds no live block: 1 - live / committed"],
      ["call site", "the line of the program that asks for memory"]];
    return section("words", "Words", null, make("dl", {}, ...words.flatMap(([word, meaning]) => [make("dt", {}, word), make("dd", {}, meaning)])));
  }

  // --- the page ---

  function head(process, chosen, choose) {
    const started = new Date(report.started_unix_ns / 1e6);
    const picker = make("select", { id: "process", onchange: (event) => choose(Number(event.target.value)) },
      ...report.processes.map((p, i) => (p.time ? make("option", { value: i, selected: i === chosen ? "" : null }, `${p.process_id} ${p.name}, peak ${bytes(p.totals.peak_live_bytes)}`) : null)));
    return make("header", {}, make("div", {}, make("h1", {}, `Memory of ${process.name || "the program"}`),
      make("p", { class: "soft mono command" }, process.command.length > 300 ? `${process.command.slice(0, 300)}…` : process.command),
      make("p", { class: "soft" }, `${started.toLocaleString("en-GB")} · ran ${duration((process.end_s - process.start_s) * 1e9)} · ${process.ending}${report.sample_bytes > 0 ? ` · sampled, 1 in ${bytes(report.sample_bytes)}` : " · every allocation recorded"}`)),
    report.processes.length > 1 ? make("label", {}, "Process ", picker) : null);
  }

  function show(chosen) {
    for (const release of drawn) release();
    drawn = [];
    if (report.processes.length === 0) {
      page.replaceChildren(make("h1", {}, "Nothing was recorded"), make("p", {}, report.damage || "The program did not allocate through acre."));
      return;
    }
    const process = report.processes[chosen];
    const holders = { time: make("div", { id: "plot-time", class: "plot" }), fragmentation: make("div", { id: "plot-fragmentation", class: "plot" }),
      sizes: make("div", { id: "plot-sizes", class: "plot" }), lives: make("div", { id: "plot-lifetimes", class: "plot" }) };
    const flames = flameSection(process);
    document.title = `Memory of ${process.name} - acre`;
    page.replaceChildren(...[head(process, chosen, show), findings(process), tiles(process),
      section("time", "Memory over time", "Point at the curves for values; drag to enlarge, double-click to go back.", holders.time),
      siteTable(process), unfreedTable(process), flames.element,
      make("div", { class: "pair" }, section("sizes", "Sizes", "How large the blocks were that the program asked for.", holders.sizes),
        section("lifetimes", "Lifetimes", "How long blocks were kept before they were freed.", holders.lives)),
      section("fragmentation", "Fragmentation over time", "The share of the heap's memory that held no live block.", holders.fragmentation),
      processTable(chosen, show), cautions(process), glossary(),
      make("p", { class: "soft", style: "margin-top:16px" }, `Made by acre ${report.acre}. This page is complete in itself and loads nothing.`)].filter((part) => part !== null));
    drawTime(process, holders.time);
    drawFragmentation(process, holders.fragmentation);
    drawSizes(process, holders.sizes);
    drawLives(process, holders.lives);
    flames.show();
    page.dataset.ready = "true";
    page.dataset.process = String(chosen);
  }

  const showAgain = () => show(Number(page.dataset.process));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showAgain);
  let width = window.innerWidth;
  let timer = 0;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    clearTimeout(timer);
    timer = setTimeout(showAgain, 200);
  });
  show(0);
})();
