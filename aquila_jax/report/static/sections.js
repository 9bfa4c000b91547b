"use strict";
// The parts of the page that are words and tables.

function healthCard(run, i) {
  const { status, lead, text: sentence, progress, tiles } = run.health;
  const several = report.value.runs.length > 1;
  const card = el("div", { class: `card health ${status}`, "data-status": status },
    el("div", { class: "title" }, several ? dot(palette()[i % 10]) : null, el("h1", {}, run.name),
      el("span", { class: "status" }, el("i", { class: "dot" }), text(lead))),
    el("p", { class: "sentence" }, text(sentence)));
  if (progress !== null) card.append(el("div", { class: "progress" }, el("i", { style: `width:${100 * progress}%` })));
  if (tiles.length) card.append(el("div", { class: "tiles" }, ...tiles.map((tile) =>
    el("div", { class: "tile" }, el("div", { class: "label" }, text(tile.label)),
      el("div", { class: "value" }, text(tile.value)), el("div", { class: "detail" }, text(tile.detail))))));
  if (run.notes.length) card.append(el("div", { class: "notes" }, el("b", {}, say("page.missing")),
    el("ul", {}, ...run.notes.map((note) => el("li", {}, text(note))))));
  return card;
}

function domainTable(run, i) {
  const columns = ["name", "share", "tokens", "loss", "bits", "fall", "final"]
    .filter((column) => column === "name" || run.domains.some((row) => row[column]));
  const rows = ["languages", "domains"].flatMap((group) => {
    const members = run.domains.filter((row) => row.group === group);
    if (!members.length) return [];
    return [el("tr", { class: "group" }, el("td", { colspan: columns.length }, say(`domains.${group}`))),
      ...members.map((row) => el("tr", { class: row.lags ? "lags" : null, "data-domain": text(row.name) }, ...columns.map((column) => el("td", { class: `column-${column}` }, text(row[column])))))];
  });
  if (!rows.length) return null;
  const head = el("tr", {}, ...columns.map((column) => el("th", { class: `column-${column}` }, say(`domains.${column}`))));
  if (report.value.runs.length > 1) head.firstChild.replaceChildren(dot(palette()[i % 10]), run.name);
  return el("div", { class: "card table" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)));
}

function hostTable(run, i) {
  if (!run.hosts.length) return null;
  const columns = ["name", "data", "device", "probe", "clock"];
  const head = el("tr", {}, ...columns.map((column) => el("th", { class: `column-${column}` }, say(`hosts.${column}`))));
  if (report.value.runs.length > 1) head.firstChild.replaceChildren(dot(palette()[i % 10]), run.name);
  const rows = run.hosts.map((row) => el("tr", { class: row.slow ? "lags" : null },
    ...columns.map((column) => el("td", { class: `column-${column}` }, row[column]))));
  return el("div", { class: "card table hosts" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)));
}

const LIMIT = 60;
const GROUPS = { all: () => true, decision: (entry) => ["decision", "steer", "rewind"].includes(entry.kind), alarm: (entry) => entry.kind === "alarm" };

function timelineList() {
  const entries = report.value.runs.flatMap((run) => run.timeline).sort((a, b) => b.step - a.step);
  const kept = entries.filter(GROUPS[view.kind]);
  if (!kept.length) return el("div", { class: "card quiet" }, say("timeline.none"));
  const shown = view.whole ? kept : kept.slice(0, LIMIT);
  const list = el("div", { class: "card list" }, ...shown.map(timelineRow));
  if (kept.length > shown.length)
    list.append(el("button", { type: "button", class: "more", onclick: () => { view.whole = true; report.fill(); } },
      say("timeline.more", { n: kept.length.toLocaleString("en") })));
  return list;
}

function timelineRow(entry) {
  const color = css((MARK[entry.kind] || [0, "--rest"])[1]);
  const several = report.value.runs.length > 1;
  const why = text(entry.why);
  const state = [entry.mode === "shadow" ? say("timeline.shadow") : "", entry.mode === "shadow" ? "" : text(entry.outcome)];
  return el("details", { class: "row", id: entry.id, open: report.open.has(entry.id) ? "" : null, ontoggle: (event) =>
    event.target.open ? report.open.add(entry.id) : report.open.delete(entry.id) },
  el("summary", {},
    el("span", { class: "step" }, several ? dot(palette()[entry.run % 10]) : null, entry.step.toLocaleString("en")),
    el("span", { class: "kind" }, dot(color), say(`kind.${entry.kind}`)),
    el("span", { class: "main" }, text(entry.what), why ? el("span", { class: "why" }, ` — ${why}`) : ""),
    el("span", { class: "result" }, state.filter(Boolean).join(" · "))),
  el("div", { class: "inside" }, timelineDetails(entry)));
}

function timelineDetails(entry) {
  const rows = [["why", text(entry.why)], ["todo", text(entry.todo)], ["author", entry.author],
    ["mode", entry.mode && WORDS[`timeline.${entry.mode}`] ? say(`timeline.${entry.mode}`) : entry.mode], ["outcome", text(entry.outcome)],
    ["when", entry.time ? new Date(1000 * entry.time).toLocaleString(view.language) : ""]]
    .filter(([, value]) => value).map(([key, value]) => [say(`timeline.${key}`), value]);
  return pairs([...rows, ...entry.evidence]);
}

function pairs(rows) {
  return el("dl", { class: "pairs" }, ...rows.flatMap(([name, value]) => [el("dt", {}, text(name)), el("dd", {}, text(value))]));
}

function factCard(run, i) {
  const several = report.value.runs.length > 1;
  const card = el("div", { class: "card" }, several ? el("h3", {}, dot(palette()[i % 10]), run.name) : null, pairs(run.facts));
  if (run.settings.length)
    card.append(el("details", { class: "folded" }, el("summary", {}, say("timeline.settings")), pairs(run.settings)));
  return card;
}
