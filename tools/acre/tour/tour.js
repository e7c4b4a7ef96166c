// The page of the tour: what each stop ran, which promises were kept, and bars for everything that was compared. The page of
// `acre bench` is the same, without promises and with tables of its own; that of `acre replay --strategies` has lines over time, that of
// `acre cache` over sizes, that of `acre um replay` has pictures of time and addresses.
"use strict";

(() => {
  const tour = JSON.parse(document.getElementById("data").textContent);
  const page = document.getElementById("page");
  const { uPlot } = window.vendor;
  const isTour = tour.kind === "acre tour";
  const colours = ["--live", "--soft", "--committed", "--rss", "--dirty", "#5c7cfa", "#e8743b", "#86a33c", "#b07aa1"];
  const PLOT_PROGRAMS = 8; // more in one plot are too thin to tell apart
  const isReplay = tour.kind === "acre replay --strategies";
  const isCache = tour.kind === "acre cache";
  const isDevice = tour.kind === "acre bench gpu";
  const isUnified = tour.kind === "acre um replay";
  const isPicture = tour.kind === "acre gpu picture";
  const title = isUnified ? "Unified memory" : isPicture ? "Device memory" : isDevice ? "Placing device memory beside VMA" : isCache ? "Caches on recorded traces" : isTour ? "The tour" : isReplay ? "Strategies on one trace" : "acre's heap beside its peers";
  document.title = `${title} - acre`;

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  const mib = (bytes) => `${(bytes / 1048576).toFixed(1)} MiB`;
  const colour = (name) => (name.startsWith("#") ? name : getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  const badge = (result) => make("span", { class: result === "kept" ? "soft" : "badge" }, result);

  function table(heads, rows) {
    return make("div", { class: "scroll" }, make("table", { class: "list" },
      make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell)))))));
  }

  // Groups of bars: one group a program, one colour an allocator. `value` is the figure divided by glibc's.
  function bars(holder, programs, allocators, value, format) {
    const step = allocators.length + 1;
    const xs = [];
    const series = allocators.map(() => []);
    programs.forEach((program, p) => allocators.forEach((name, i) => {
      xs.push(p * step + i);
      series.forEach((list, j) => list.push(j === i ? value(program, name) : null));
    }));
    const group = (x) => Math.floor(x / step);
    const width = () => Math.max(300, Math.min(1120, holder.clientWidth || 1120));
    const options = {
      width: width(), height: 280,
      scales: { x: { time: false, range: [-1, programs.length * step - 1] }, y: { range: (u, low, high) => [0, Math.max(1.1, high * 1.08)] } },
      axes: [
        { stroke: colour("--soft"), grid: { show: false }, ticks: { show: false },
          splits: () => programs.map((program, p) => p * step + (allocators.length - 1) / 2),
          values: (u, splits) => splits.map((x) => programs[group(x)].program) },
        { stroke: colour("--soft"), grid: { stroke: colour("--grid") }, values: (u, splits) => splits.map((y) => `${y.toFixed(2)}x`) },
      ],
      series: [{ label: "program", value: (u, x) => (x === null ? "" : programs[group(x)].program) },
        ...allocators.map((name, i) => ({
          label: name, stroke: colour(colours[i % colours.length]), fill: colour(colours[i % colours.length]), points: { show: false },
          paths: uPlot.paths.bars({ size: [0.85, 46] }),
          value: (u, y, s, at) => (y === null || y === undefined ? "" : format(programs[group(xs[at])], name, y)),
        }))],
      legend: { live: true },
    };
    const plot = new uPlot(options, [xs, ...series], holder);
    plot.root.dataset.points = String(xs.length);
    window.addEventListener("resize", () => plot.setSize({ width: width(), height: 280 }));
  }

  // Shares over places, a line for each series; from 0, or from `low` if all are above it.
  function lines(parent, plotted) {
    const holder = make("div", { class: "plot", role: "img",
      "aria-label": `${plotted.title}, of ${plotted.series.map((one) => one.name).join(", ")}` });
    parent.append(make("h3", {}, plotted.title), holder);
    const low = plotted.low !== undefined && plotted.series.every((one) => one.values.every((value) => value >= plotted.low)) ? plotted.low : 0;
    const share = (u, y) => (y === null || y === undefined ? "" : `${(100 * y).toFixed(1)}%`);
    const width = () => Math.max(300, Math.min(1120, holder.clientWidth || 1120));
    const axis = (space, values) => ({ stroke: colour("--soft"), grid: { stroke: colour("--grid") }, space, values });
    const plot = new uPlot({
      width: width(), height: 320,
      scales: { x: { time: false, distr: plotted.is_log ? 3 : 1 }, y: { range: (u, least, most) => [low, Math.max(0.05, Math.min(1, most * 1.08))] } },
      axes: [axis(100, (u, splits) => splits.map((x) => (x === null ? "" : x.toLocaleString("en")))), { ...axis(40, (u, splits) => splits.map((y) => `${+(100 * y).toFixed(1)}%`)), size: 58 }],
      series: [{ label: plotted.x, value: (u, x) => (x === null ? "" : x.toLocaleString("en")) },
        ...plotted.series.map((one, i) => ({ label: one.name, stroke: colour(colours[(i + 5) % colours.length]), width: 1.6, value: share,
          dash: i < colours.length ? undefined : [6, 4],
          points: { show: false } }))],
    }, [plotted.places, ...plotted.series.map((one) => one.values)], holder);
    plot.root.dataset.points = String(plotted.places.length);
    window.addEventListener("resize", () => plot.setSize({ width: width(), height: 320 }));
  }

  // Blocks of device memory, a strip each: pieces are [offset, size, kind, share in use, text].
  const kinds = [["buffers", "--live"], ["images", "--committed"], ["either", "--dirty"], ["held for a move", "--device"], ["free", null]];
  const strip = { width: 1000, height: 20 };

  function draw(name, attributes, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  function pieceOf(block, [offset, size, kind, share, text]) {
    const title = draw("title", {});
    title.textContent = text;
    const fill = kinds[kind][1];
    return draw("rect", { x: (strip.width * offset / block.size).toFixed(3), width: (strip.width * size / block.size).toFixed(3), height: strip.height,
      style: fill ? `fill: var(${fill}); fill-opacity: ${share}` : "fill: transparent" }, title);
  }

  function picture(parent, shown) {
    const used = new Set(shown.blocks.flatMap((block) => block.pieces.map((piece) => piece[2])));
    parent.append(make("h3", {}, shown.title), make("p", { class: "soft" }, ...kinds.flatMap(([name, fill], kind) => (used.has(kind)
      ? [make("span", { class: "key", style: fill ? `background: var(${fill})` : "" }), `${name} `] : []))));
    for (const block of shown.blocks) {
      const svg = draw("svg", { class: "strip", viewBox: `0 0 ${strip.width} ${strip.height}`, preserveAspectRatio: "none", role: "img",
        "aria-label": `block ${block.label}` }, ...block.pieces.map((piece) => pieceOf(block, piece)));
      parent.append(make("div", { class: "block" }, make("div", { class: "soft" }, block.label), svg));
    }
  }

  // A bar for each set of rules, in as many parts as there are keys.
  function measures(parent, charts) {
    const fills = ["--live", "--committed"];
    parent.append(make("div", { class: "trio" }, ...charts.map((chart) => {
      const wholes = chart.bars.map((bar) => bar.parts[0] + bar.parts[1]).sort((a, b) => a - b);
      const most = Math.max(Math.min(wholes[wholes.length - 1], 3 * wholes[Math.floor(wholes.length / 2)]), 1e-9); // longer ones are cut
      const part = (value, i) => make("i", { style: `width: ${(100 * value / most).toFixed(2)}%; background: var(${fills[i]})` });
      const isCut = (bar) => bar.parts[0] + bar.parts[1] > most;
      return make("div", { class: "measure" }, make("h3", {}, chart.title), make("div", { class: "soft keys" }, ...(chart.keys || ["the shorter the better"]).flatMap((key, i, all) => [
        all.length > 1 ? make("span", { class: "key", style: `background: var(${fills[i]})` }) : "", key]), chart.bars.some(isCut) ? "; cut where striped" : ""),
      ...chart.bars.map((bar) => make("div", { class: "bar" }, make("span", {}, bar.name),
        make("span", { class: isCut(bar) ? "track cut" : "track", role: "img", "aria-label": `${bar.name}: ${bar.text}` }, ...bar.parts.map(part)), make("span", { class: "soft" }, bar.text))));
    })));
  }

  // What is where and when: time to the right, addresses upwards, shade by how much of a row is there.
  const frame = { left: 64, top: 8, width: 470, height: 224, bottom: 34, right: 12 };
  const units = [[1e9, "s"], [1e6, "ms"], [1e3, "us"], [1, "ns"]];
  const sizes = [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"]];
  const marks = { resident: ["resident", "--live"], unused: ["came unasked, not used yet", "--committed"],
    evicted: ["had to go", "--warn"], wasted: ["went unused", "--dirty"] };

  // A multiple of 1, 2 or 5 (of 1, 2, 4, 8, 16 of addresses) that gives about `count` steps.
  function stepOf(whole, count, isBinary) {
    const base = isBinary ? 2 : 10;
    const power = base ** Math.floor(Math.log(whole / count) / Math.log(base));
    return (isBinary ? [1, 2] : [1, 2, 5, 10]).map((factor) => factor * power).find((step) => whole / step <= count + 0.5) || power * base;
  }

  // The runs of a row's digits that are alike, as parts of a path for each digit.
  function runsOf(digits, at) {
    for (let first = 0, end; first < digits.length; first = end) {
      for (end = first + 1; end < digits.length && digits[end] === digits[first]; end++);
      if (digits[first] !== "0") at(parseInt(digits[first], 16), first, end);
    }
  }

  function timeline(one) {
    const rows = one.resident.length;
    const columnWidth = frame.width * one.interval_ns / Math.max(one.ns, 1);
    const rowHeight = (row) => frame.height * Math.min(one.row_bytes, one.bytes - row * one.row_bytes) / one.bytes;
    const bottom = (row) => frame.top + frame.height * (1 - row * one.row_bytes / one.bytes);
    const right = frame.left + frame.width;
    const x = (column) => Math.min(frame.left + column * columnWidth, right);
    const svg = draw("svg", { class: "timeline", viewBox: `0 0 ${right + frame.right} ${frame.top + frame.height + frame.bottom}`, role: "img",
      "aria-label": `what is resident over time with the rules ${one.name}` });
    svg.append(draw("rect", { x: frame.left, y: frame.top, width: frame.width, height: frame.height, class: "ground" }));
    const layer = (digitsOf, fill, opacity, shape) => {
      const paths = {};
      digitsOf.forEach((digits, row) => runsOf(digits, (level, first, end) => { paths[level] = (paths[level] || "") + shape(level, row, first, end); }));
      for (const [level, d] of Object.entries(paths)) svg.append(draw("path", { d, style: `fill: var(${fill}); fill-opacity: ${opacity(+level)}` }));
    };
    const box = (left, top, width, height) => `M${left.toFixed(1)} ${top.toFixed(1)}H${(left + width).toFixed(1)}V${(top + height).toFixed(1)}H${left.toFixed(1)}z`;
    const full = (level, row, first, end) => box(x(first), bottom(row) - rowHeight(row), x(end) - x(first), rowHeight(row));
    // What is unused is as high as its part of the row; marks too, and at least to be seen.
    const part = (level, row, first, end) => box(x(first), bottom(row) - rowHeight(row) * level / 15, x(end) - x(first), rowHeight(row) * level / 15);
    const mark = (level, row, first, end) => Array.from({ length: end - first }, (_, i) => {
      const height = Math.max(1.5, rowHeight(row) * level / 15);
      return box(x(first + i), bottom(row) - height, Math.max(1.2, Math.min(columnWidth, 2.4)), height);
    }).join("");
    layer(one.resident, marks.resident[1], (level) => (0.08 + 0.62 * level / 15).toFixed(3), full);
    layer(one.unused, marks.unused[1], () => 0.9, part);
    layer(one.evicted, marks.evicted[1], () => 1, mark);
    layer(one.wasted, marks.wasted[1], () => 1, mark);
    const text = (content, attributes) => { const element = draw("text", attributes); element.textContent = content; svg.append(element); };
    const [unit, unitName] = units.find(([value]) => one.ns >= 2 * value) || units[3];
    const step = stepOf(Math.max(one.ns, 1) / unit, 6, false);
    for (let t = 0; t * unit <= one.ns; t += step) {
      const left = frame.left + frame.width * t * unit / Math.max(one.ns, 1);
      svg.append(draw("path", { d: `M${left.toFixed(1)} ${frame.top + frame.height}v4`, class: "axis" }));
      text(`${+t.toFixed(6)}`, { x: left.toFixed(1), y: frame.top + frame.height + 16, "text-anchor": "middle" });
    }
    const [size, sizeName] = sizes.find(([value]) => one.bytes >= 4 * value) || sizes[2];
    const rise = stepOf(one.bytes / size, 6, true);
    for (let at = 0; at * size <= one.bytes; at += rise) {
      const top = frame.top + frame.height * (1 - at * size / one.bytes);
      svg.append(draw("path", { d: `M${frame.left - 4} ${top.toFixed(1)}h4`, class: "axis" }));
      text(`${at}`, { x: frame.left - 8, y: (top + 4).toFixed(1), "text-anchor": "end" });
    }
    svg.append(draw("rect", { x: frame.left, y: frame.top, width: frame.width, height: frame.height, class: "axis" }));
    text(`time, ${unitName}`, { x: frame.left + frame.width / 2, y: frame.top + frame.height + 31, "text-anchor": "middle" });
    const middle = frame.top + frame.height / 2;
    text(`address, ${sizeName}`, { x: 14, y: middle, "text-anchor": "middle", transform: `rotate(-90 14 ${middle})` });
    const words = one.full_bytes < one.row_bytes ? `${one.text}; darkest: ${mib(one.full_bytes)} of a row` : one.text;
    const note = make("span", { class: "soft" }, words);
    svg.addEventListener("mousemove", (event) => {
      const area = svg.getBoundingClientRect();
      const scale = (right + frame.right) / area.width;
      const column = Math.floor(((event.clientX - area.left) * scale - frame.left) / columnWidth);
      const row = Math.floor((frame.top + frame.height - (event.clientY - area.top) * scale) / frame.height * one.bytes / one.row_bytes);
      const share = (digits) => mib(one.full_bytes * parseInt((digits[row] || "")[column] || "0", 16) / 15);
      note.textContent = column < 0 || row < 0 || row >= rows || column * one.interval_ns > one.ns ? words
        : `${mib(row * one.row_bytes)} at ${+(column * one.interval_ns / unit).toFixed(3)} ${unitName}: ${share(one.resident)} there, ${share(one.unused)} unused, `
          + `${share(one.evicted)} had to go`;
    });
    svg.addEventListener("mouseleave", () => { note.textContent = words; });
    return make("div", { class: "block" }, make("div", {}, make("b", {}, one.name), " ", note), svg);
  }

  function timelines(parent, shown) {
    const row = mib(shown[0].row_bytes);
    parent.append(make("h3", {}, "What is in the place, and when"),
      make("p", { class: "soft" }, ...Object.values(marks).flatMap(([name, fill]) => [make("span", { class: "key", style: `background: var(${fill})` }), `${name} `]),
        ` - a row is ${row}; the darker, the more of it`),
      make("div", { class: "pair" }, ...shown.map(timeline)));
  }

  function comparison(parent, stop) {
    const programs = stop.programs;
    if (!programs || programs.length === 0) return;
    const allocators = Object.keys(programs[0].allocators);
    const kinds = [
      ["CPU time", "cpu_seconds", (v) => `${v.toFixed(2)} s`],
      ["Peak memory", "peak_rss_bytes", mib],
    ];
    for (const [title, key, text] of kinds) {
      parent.append(make("h3", {}, `${title}, glibc = 1.00 (shorter is better)`));
      for (let first = 0; first < programs.length; first += PLOT_PROGRAMS) {
        const shown = programs.slice(first, first + PLOT_PROGRAMS);
        const holder = make("div", { class: "plot", role: "img",
          "aria-label": `${title} of ${shown.map((program) => program.program).join(", ")} on each allocator` });
        parent.append(holder);
        bars(holder, shown, allocators, (program, name) => program.allocators[name][key] / program.allocators.glibc[key],
          (program, name, ratio) => `${ratio.toFixed(2)}x (${text(program.allocators[name][key])})`);
      }
    }
    if ((stop.tables || []).length > 0) return; // they say more
    parent.append(table(["program", ...allocators], programs.map((program) => [program.program, ...allocators.map((name) => {
      const one = program.allocators[name];
      return `${one.cpu_seconds.toFixed(2)} s, ${mib(one.peak_rss_bytes)}${one.output_is_identical ? "" : ", OUTPUT DIFFERS"}`;
    })])));
  }

  function meanTiles() {
    const tiles = [];
    for (const stop of tour.stops.filter((one) => one.geometric_means)) {
      for (const [key, what] of [["cpu_seconds", "CPU time"], ["peak_rss_bytes", "peak memory"]]) {
        for (const [base, means] of Object.entries(stop.geometric_means[key]).filter(([, one]) => typeof one === "object")) {
          tiles.push([`${stop.name}: ${what} of ${base.replace("to_", "")}'s`, means.acre.toFixed(2)]);
        }
      }
    }
    return tiles;
  }

  page.append(make("header", {}, make("div", {}, make("h1", {}, title),
    make("p", { class: "soft" }, isTour ? `acre ${tour.version}: every memory system at its real job, beside the best peer there is`
      : isUnified ? `acre ${tour.version}: what sets of rules do in a modelled place that has room for a part of what is touched. The pointer on a picture tells its figures`
      : isPicture ? `acre ${tour.version}: ${tour.driver === tour.device ? tour.device : `${tour.driver} on ${tour.device}`}. The pointer on a piece tells what lies there`
      : isCache ? `acre ${tour.version}: what a cache of each policy and size would have missed, every object one entry, empty at first`
      : isReplay ? `acre ${tour.version}: the real-time heaps, addresses and sizes as on the machine that replays`
      : `acre ${tour.version}, medians of ${tour.rounds} ${isDevice ? "seeds" : "interleaved rounds"} on ${tour.cores} cores, load average `
        + `${tour.load_average.map((load) => load.toFixed(1)).join(" to ")}`))));
  const tiles = isTour ? [["promises kept", tour.kept], ["broken", tour.broken], ["stops skipped", tour.skipped]]
    : isPicture || isDevice || isUnified ? []
    : isReplay ? tour.strategies.filter((one) => one.failures !== null)
      .map((one) => [`${one.strategy}: failures, mean fragmentation`, `${one.failures}, ${(100 * one.fragmentation_mean).toFixed(1)}%`])
    : isCache ? tour.traces.map((one) => [`${one.path}: requests, objects`, `${one.requests.toLocaleString("en")}, ${one.objects.toLocaleString("en")}`])
    : meanTiles();
  page.append(make("div", { class: "tiles" }, ...tiles
    .map(([name, value]) => make("div", { class: "tile" }, make("div", { class: "name" }, name), make("div", { class: "value" }, String(value))))));
  for (const stop of tour.stops) {
    const section = make("section", {}, make("h2", {}, stop.name), make("p", { class: "soft" }, stop.title));
    page.append(section);
    if (stop.skipped) section.append(make("p", {}, `Skipped: ${stop.skipped}`));
    if (stop.rows) {
      section.append(table(["what ran", "peak memory", "CPU time", "peer", "promise", ""], stop.rows.map((row) =>
        [row.what, mib(row.bytes), `${row.seconds.toFixed(2)} s`, `${row.peer}: ${row.peer_figure}`, row.promise, badge(row.result)])));
    }
    if (stop.promises) {
      section.append(table(["promise", "figure", "at most", ""], stop.promises.map((promise) =>
        [promise.what, `${promise.figure.toFixed(3)} ${promise.unit}`, promise.bar.toFixed(2), badge(promise.result)])));
    }
    for (const note of stop.notes || []) section.append(make("p", { class: "soft" }, note));
    comparison(section, stop);
    if (stop.bars) measures(section, stop.bars);
    for (const one of stop.lines || []) lines(section, one);
    for (const one of stop.pictures || []) picture(section, one);
    if ((stop.timelines || []).length > 0) timelines(section, stop.timelines);
    for (const one of stop.tables || []) section.append(make("h3", {}, one.title), table(one.heads, one.rows));
  }
  page.dataset.ready = "true";
})();
