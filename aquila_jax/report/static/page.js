"use strict";
// Puts the page together, draws what is in sight, and follows a live run.

const report = {
  value: JSON.parse(document.getElementById("data").textContent),
  open: new Set(), plots: new Map(), ready: false, version: "",
  panel: (id) => report.value.panels.find((panel) => panel.id === id),
};

const SECTIONS = ["health", "loss", "domains", "mixture", "timeline", "trajectory", "optimiser", "speed", "facts"];
const watcher = new IntersectionObserver((entries) => entries.forEach((entry) => {
  entry.target.seen = entry.isIntersecting;
  if (entry.isIntersecting && entry.target.stale) plot(entry.target);
}), { rootMargin: "400px" });

function plot(target) {
  const panel = report.panel(target.panel);
  if (!report.ready || !panel) return;
  target.stale = false;
  const { data, layout } = figure(panel);
  Plotly.react(target, data, layout, { responsive: true, displayModeBar: false }).then(() => {
    if (target.clicks) return;
    target.clicks = true;
    target.on("plotly_click", (event) => event.points.forEach((point) => point.customdata && show(point.customdata)));
  });
}

function show(id) {
  Object.assign(view, { kind: "all", whole: true });
  report.open.add(id);
  report.fill();
  const row = document.getElementById(id);
  row.scrollIntoView({ behavior: "smooth", block: "center" });
  row.classList.add("flash");
}

/** The card of a panel; its plot stays the same element while the run goes on. */
function card(panel) {
  const target = report.plots.get(panel.id) || el("div", { class: "plot" });
  if (!report.plots.has(panel.id)) {
    target.panel = panel.id;
    report.plots.set(panel.id, target);
    watcher.observe(target);
  }
  target.stale = true;
  if (target.seen) requestAnimationFrame(() => target.stale && plot(target));
  return el("div", { class: "card panel", "data-panel": panel.id },
    el("div", { class: "top" }, el("h3", {}, title(panel)), last(panel)),
    panel.note ? el("p", { class: "note" }, text(panel.note)) : null, target);
}

/** With several runs a mixture is that of one of them. */
function title(panel) {
  const several = report.value.runs.length > 1 && panel.section === "mixture";
  return several ? report.value.runs[panel.series[0].run].name : text(panel.title);
}

/** The latest value of each run, beside the title. */
function last(panel) {
  const several = report.value.runs.length > 1;
  const ends = panel.series.filter((series) => series.y && ["main", "points"].includes(series.role));
  const names = new Set(ends.map((series) => text(series.name)));
  const list = palette();
  if (panel.section === "mixture" || panel.id === "goodput" || names.size !== 1) return unit(panel);
  const values = ends.map((series) => el("span", {}, several ? dot(list[series.run % 10]) : null, number(series.y.findLast((y) => y !== null))));
  return el("span", { class: "last" }, ...values, unit(panel));
}

function unit(panel) {
  return el("span", { class: "unit" }, panel.small ? "" : panel.unit || "");
}

const section = (name) => report.value.panels.filter((panel) => panel.section === name);
const cards = (kind, panels) => panels.length ? el("div", { class: `grid ${kind}`, style: `--columns:${columns(panels.length)}` }, ...panels.map(card)) : null;
/** As many small panels a row as leave the fewest places empty. */
const columns = (n) => [4, 3, 5].reduce((best, c) => (Math.ceil(n / c) * c - n < Math.ceil(n / best) * best - n ? c : best));

const FILL = {
  health: () => [el("div", { class: report.value.runs.length > 1 ? "runs" : "" }, ...report.value.runs.map(healthCard))],
  loss: () => [cards("", section("loss").slice(0, 1)), cards(section("loss").length > 2 ? "pair" : "", section("loss").slice(1))],
  domains: () => {
    const panels = section(view.shown);
    return [...report.value.runs.map(domainTable), cards("small", panels.filter((panel) => panel.small === "languages")),
      cards("small", panels.filter((panel) => panel.small === "domains"))];
  },
  mixture: () => [cards(report.value.runs.length > 1 ? "pair" : "", section("mixture"))],
  timeline: () => [timelineList()],
  trajectory: () => [cards("three", section("trajectory"))],
  optimiser: () => [cards("pair", section("optimiser"))],
  speed: () => [cards("three", section("speed").filter((panel) => panel.id !== "goodput")), cards("", section("speed").filter((panel) => panel.id === "goodput")),
    ...report.value.runs.map(hostTable)],
  facts: () => [el("div", { class: report.value.runs.length > 1 ? "grid pair" : "grid" }, ...report.value.runs.map(factCard))],
};

function heading(name) {
  if (name === "health") return [];
  const buttons = { domains: () => domainChoice(), timeline: () => timelineChoice() }[name];
  const note = WORDS[`section.${name}.note`] ? el("p", { class: "note" }, say(`section.${name}.note`)) : null;
  return [el("div", { class: "head" }, el("h2", {}, say(`section.${name}`)), el("span", { class: "spring" }), buttons ? buttons() : null), note];
}

function domainChoice() {
  const options = ["heldout", "training"].filter((kind) => section(kind).length).map((kind) => [kind, say(`domains.${kind}`)]);
  if (options.length && !options.some(([kind]) => kind === view.shown)) view.shown = options[0][0];
  return options.length > 1 ? el("span", { class: "choice" }, ...choice(options, view.shown, set("shown"))) : null;
}

function timelineChoice() {
  const options = Object.keys(GROUPS).map((kind) => [kind, say(`filter.${kind}`)]);
  return el("span", { class: "choice" }, ...choice(options, view.kind, set("kind")));
}

const set = (name) => (value) => { view[name] = value; report.fill(); };

/** Everything but the plots anew; a plot is drawn again when it is in sight. */
report.fill = () => {
  document.documentElement.lang = view.language;
  document.documentElement.dataset.theme = view.theme;
  const main = document.getElementById("main");
  for (const name of SECTIONS) {
    const place = document.getElementById(name) || main.appendChild(el("section", { id: name }));
    const inside = FILL[name]().filter(Boolean);
    place.hidden = !inside.length;
    place.replaceChildren(...(inside.length ? [...heading(name), ...inside].filter(Boolean) : []));
  }
  document.getElementById("axis").replaceChildren(...choice([["step", say("page.steps")], ["tokens", say("page.tokens")]], view.axis, set("axis")));
  document.getElementById("language").replaceChildren(say("page.language"));
  document.getElementById("theme").replaceChildren(view.theme === "dark" ? "☀" : "☾");
  document.getElementById("theme").setAttribute("aria-label", say("page.theme"));
  state(true);
};

function state(connected) {
  const words = el("span", { class: "long" }, text(report.value.as_of));
  const live = report.value.live ? [dot(css(connected ? "--good" : "--bad")), connected ? `${say("page.live")} · ` : `${say("page.lost")} · `] : [];
  document.getElementById("live").replaceChildren(...live, words);
}

async function ask() {
  try {
    const answer = await fetch(`data.json?version=${encodeURIComponent(report.version)}`);
    if (!answer.ok) throw new Error(answer.statusText);
    const value = await answer.json();
    if (value.version !== report.version) {
      report.value = value;
      report.version = value.version;
      report.fill();
    }
    state(true);
  } catch {
    state(false);
  }
  setTimeout(ask, 1000 * report.value.live);
}

document.getElementById("language").onclick = () => { view.language = view.language === "en" ? "zh" : "en"; store("language", view.language); report.fill(); };
document.getElementById("theme").onclick = () => { view.theme = view.theme === "dark" ? "light" : "dark"; store("theme", view.theme); report.fill(); };

/** The library takes most of the time until a chart is seen, so the words are painted before it. */
function load() {
  document.head.append(el("script", {}, document.getElementById("library").textContent));
  report.ready = true;
  report.plots.forEach((target) => target.seen && target.stale && plot(target));
  if (report.value.live) setTimeout(ask, 1000 * report.value.live);
}

report.fill();
new PerformanceObserver((_, observer) => { observer.disconnect(); load(); }).observe({ type: "paint", buffered: true });
