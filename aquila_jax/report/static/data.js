"use strict";
// The data report: a card of figures, and tables whose rows open to samples.

const report = {
  value: JSON.parse(document.getElementById("data").textContent),
  open: new Set(),
};

function lead() {
  const { name, sentence, tiles } = report.value;
  return el("div", { class: "card health waiting" }, el("h1", {}, name), el("p", { class: "sentence" }, text(sentence)),
    el("div", { class: "tiles" }, ...tiles.map((tile) => el("div", { class: "tile" },
      el("div", { class: "label" }, text(tile.label)), el("div", { class: "value" }, tile.value)))));
}

function section(table) {
  const head = el("tr", {}, ...table.head.map((cell) => el("th", {}, text(cell))));
  const rows = table.rows.flatMap((row, i) => rowOf(table, row, `${table.id}-${i}`));
  return el("section", { id: table.id },
    el("div", { class: "head" }, el("h2", {}, text(table.title))), el("p", { class: "note" }, text(table.note)),
    el("div", { class: "card table" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows))));
}

function rowOf(table, row, id) {
  const samples = row.inside.length > 0;
  const toggle = () => { report.open.has(id) ? report.open.delete(id) : report.open.add(id); report.draw(); };
  const mark = samples ? (report.open.has(id) ? "▾ " : "▸ ") : "";
  const cells = row.cells.map((cell, i) => el("td", {}, (i ? "" : mark) + text(cell)));
  const attributes = { class: row.lags ? "lags" : null, onclick: samples ? toggle : () => {}, style: samples ? "cursor:pointer" : null };
  const shown = samples && report.open.has(id) ? row.inside.map((sample) => el("tr", { class: "group" },
    el("td", { colspan: table.head.length, style: "white-space:normal" }, sampleOf(sample)))) : [];
  return [el("tr", attributes, ...cells), ...shown];
}

function sampleOf(sample) {
  return el("div", {}, el("b", {}, sample.where), sample.why ? ` — ${sample.why}` : "",
    sample.text ? el("div", { style: "white-space:pre-wrap" }, sample.text) : "");
}

report.draw = () => {
  document.documentElement.lang = view.language;
  document.documentElement.dataset.theme = view.theme;
  document.getElementById("main").replaceChildren(el("section", { id: "lead" }, lead()), ...report.value.tables.map(section));
  document.getElementById("language").replaceChildren(say("page.language"));
  document.getElementById("theme").replaceChildren(view.theme === "dark" ? "☀" : "☾");
  document.getElementById("theme").setAttribute("aria-label", say("page.theme"));
};
document.getElementById("language").onclick = () => { view.language = view.language === "en" ? "zh" : "en"; store("language", view.language); report.draw(); };
document.getElementById("theme").onclick = () => { view.theme = view.theme === "dark" ? "light" : "dark"; store("theme", view.theme); report.draw(); };
report.draw();
