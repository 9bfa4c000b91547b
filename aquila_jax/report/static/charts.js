"use strict";
// From a panel, which is plain values, to a Plotly figure in the colours of the theme.

const DASHES = ["solid", "dash", "dot", "dashdot"];
const HEIGHT = { loss: 380, small: 150, goodput: 150, mixture: 260, accuracy: 260, forecasts: 260 };
const MARK = {
  decision: ["diamond", "--accent"], alarm: ["triangle-up", "--bad"], rewind: ["x", "--warn"],
  steer: ["star", "--accent"], event: ["circle-open", "--rest"],
};

function faded(color, alpha) {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16));
  return `rgba(${r},${g},${b},${alpha})`;
}

/** Steps of a run as tokens, if the reader wants tokens on the axis. */
function horizontal(run, steps, scale) {
  if (view.axis === "step") return steps;
  const { step, tokens } = report.value.runs[run].axis;
  if (!step.length) return steps.map(() => null);
  const last = step.length - 1;
  return steps.map((at) => {
    if (at >= step[last]) return (tokens[last] * at) / Math.max(step[last], 1) / scale;
    let low = 0, high = last;
    while (high - low > 1) { const middle = (low + high) >> 1; if (step[middle] <= at) low = middle; else high = middle; }
    const share = high > low ? Math.max(0, (at - step[low]) / (step[high] - step[low])) : 0;
    return (tokens[low] + share * (tokens[high] - tokens[low])) / scale;
  });
}

function axisScale() {
  const most = Math.max(0, ...report.value.runs.map((run) => run.axis.tokens.at(-1) || 0));
  return [[1e9, "B"], [1e6, "M"], [1e3, "K"], [1, ""]].find(([scale]) => most >= scale) || [1, ""];
}

/** Colours of a panel's series: one a run if there are several, else one a series. */
function colors(panel) {
  const list = palette();
  if (report.value.runs.length > 1 && panel.section !== "mixture" && panel.id !== "goodput")
    return panel.series.map((series) => list[series.run % list.length]);
  const names = [...new Set(panel.series.filter((s) => s.role !== "limit").map((s) => JSON.stringify(s.name)))];
  if (["raw", "main", "left"].includes(panel.series[0].role)) return panel.series.map(() => list[0]);
  return panel.series.map((series) => list[Math.max(0, names.indexOf(JSON.stringify(series.name))) % list.length]);
}

function traces(panel, scale) {
  const color = colors(panel);
  const several = report.value.runs.length > 1;
  const names = [...new Set(panel.series.filter((s) => s.role !== "raw" && !(several && s.role === "left")).map((s) => text(s.name)))];
  const named = names.length > 1;
  const dash = (series) => DASHES[names.indexOf(text(series.name)) % DASHES.length];
  // With several runs the colour is the run's, so the dashes need a legend of their own.
  const key = several && named && panel.section !== "mixture" ? names.map((name, i) => ({ type: "scatter", mode: "lines", x: [null], y: [null],
    name, line: { color: css("--soft"), width: 1.8, dash: DASHES[i % DASHES.length] }, showlegend: true })) : [];
  return [...key, ...panel.series.flatMap((series, i) => {
    const run = report.value.runs[series.run].name;
    const name = several ? (named && panel.section !== "mixture" ? `${run} · ${text(series.name)}` : run) : text(series.name);
    const base = { type: "scatter", cliponaxis: series.role !== "points", x: horizontal(series.run, series.x, scale), y: series.y, name, mode: "lines",
      line: { color: color[i], width: 1.8 }, showlegend: named && !several, connectgaps: false,
      hovertemplate: `%{y:.4~g}${panel.unit === "%" ? " %" : ""}` };
    if (series.role === "raw")
      return { ...base, line: { color: faded(color[i], several ? 0.15 : 0.28), width: 1 }, hoverinfo: "skip", hovertemplate: null, showlegend: false };
    if (series.role === "left") return { ...base, line: { color: css("--faint"), width: 1, dash: "dot" } };
    if (series.role === "limit") return { ...base, line: { color: css("--faint"), width: 1.2, dash: "dash" } };
    if (series.role === "area")
      return { ...base, name: text(series.name), stackgroup: "all", showlegend: true, line: { shape: "hv", width: 0.5, color: color[i] }, fillcolor: faded(color[i], 0.72) };
    if (several && named) base.line.dash = dash(series);
    if (series.role === "points" && series.x.length < 60) Object.assign(base, { mode: "lines+markers", marker: { size: 4.5, color: color[i] } });
    return series.band ? [...band(base.x, series.band.low, series.band.high, color[i]), base] : base;
  })];
}

function band(x, low, high, color) {
  const edge = { type: "scatter", x, mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false };
  return [{ ...edge, y: low }, { ...edge, y: high, fill: "tonexty", fillcolor: faded(color, 0.16) }];
}

/** The dashed way to the forecast end, and the band around it if it is calibrated. */
function endings(panel, scale) {
  return (panel.ends || []).flatMap((end) => {
    const color = report.value.runs.length > 1 ? palette()[end.run % 10] : palette()[1];
    const x = horizontal(end.run, end.x, scale);
    const way = { type: "scatter", x, y: end.y, mode: "lines+markers", name: say("series.forecast"),
      line: { color, dash: "dash", width: 1.8 }, marker: { size: [0, 8], color }, hovertemplate: "%{y:.3f}",
      showlegend: report.value.runs.length === 1 };
    return end.band ? [...band(x, [end.y[0], end.band[0]], [end.y[0], end.band[1]], color), way] : [way];
  });
}

function marks(panel, scale) {
  return Object.entries(MARK).flatMap(([kind, [symbol, color]]) => {
    const found = (panel.marks || []).filter((mark) => mark.kind === kind);
    if (!found.length) return [];
    return { type: "scatter", mode: "markers", cliponaxis: false, name: say(`kind.${kind}`), x: found.map((m) => horizontal(m.run, [m.x], scale)[0]),
      y: found.map((m) => m.y), text: found.map((m) => wrapped(text(m.text))), customdata: found.map((m) => m.entry),
      marker: { symbol, size: 9, color: css(color), line: { width: 1, color: css("--card") } },
      hovertemplate: "%{text}", showlegend: true };
  });
}

function wrapped(words) {
  const safe = words.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  return safe.replace(/(.{36,}?)[ ，]/g, "$1<br>");
}

/** Phases as tinted spans, as in the report's Figure 3. */
function spans(panel, scale) {
  const source = panel.section === "loss" ? report.panel("loss") : null;
  if (!source || report.value.runs.length > 1) return { shapes: [], annotations: [] };
  const tint = palette();
  const sides = source.spans.map((span) => horizontal(span.run, span.x, scale));
  const shapes = source.spans.map((_, i) => ({ type: "rect", layer: "below", xref: "x", yref: "paper", x0: sides[i][0], x1: sides[i][1],
    y0: 0, y1: 1, line: { width: 0 }, fillcolor: faded(tint[(i + 2) % tint.length], view.theme === "dark" ? 0.13 : 0.08) }));
  const annotations = panel.id !== "loss" ? [] : source.spans.map((span, i) => ({ text: wrapped(span.name), x: sides[i][0], xref: "x", y: 1,
    yref: "paper", xanchor: "left", yanchor: "top", showarrow: false, font: { size: 11, color: tint[(i + 2) % tint.length] }, xshift: 4 }));
  return { shapes, annotations };
}

function bars(panel) {
  const list = palette();
  const names = report.value.runs.map((run) => run.name);
  const causes = ["productive", "other", "repeated", "startup", "trial", "compile", "save", "restore", "evaluate", "stall", "down"];
  const seen = new Set();
  return panel.series.map((part) => {
    const fresh = !seen.has(part.cause) && seen.add(part.cause);
    const place = causes.indexOf(part.cause);
    const color = place === 0 ? css("--good") : place === 1 ? css("--line") : list[(place - 1) % list.length];
    return { type: "bar", orientation: "h", x: [part.share], y: [names[part.run]], name: text(part.name), legendgroup: part.cause,
      showlegend: Boolean(fresh), marker: { color }, hovertemplate: `${text(part.name)}: ${text(part.text)} (%{x:.1f} %)<extra></extra>` };
  });
}

/** From 0 to the last step of all runs, or to the end of the plan beside the loss. */
function reach(panel, scale) {
  const ends = report.value.runs.flatMap((run, i) => horizontal(i, run.axis.step.slice(-1), scale));
  const planned = panel.section === "loss" ? report.panel("loss") : null;
  [...(planned?.spans || []), ...(planned?.ends || [])].forEach((span) => ends.push(horizontal(span.run, span.x.slice(-1), scale)[0]));
  const last = Math.max(...ends);
  return last > 0 ? { range: [0, 1.03 * last] } : {};
}

/** Marks of a logarithmic axis: 1, 2, 5 in each decade, or only 1 where there are many. */
function decades(data) {
  const values = data.flatMap((trace) => Array.from(trace.y || [])).filter((value) => value > 0);
  if (!values.length) return { type: "linear" };
  const low = Math.min(...values), high = Math.max(...values);
  if (high < 4 * low) return { type: "linear" };
  const parts = Math.log10(high / low) > 2 ? [1] : [1, 2, 5];
  const ticks = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) parts.forEach((part) => ticks.push(part * 10 ** e));
  return { tickvals: ticks, ticktext: ticks.map((tick) => (tick < 0.01 || tick >= 1e5 ? tick.toExponential(0).replace("e+", "e") : number(tick))) };
}

/** Thousands as k from 10,000 on; a small rate as a power of ten. */
function ticks(panel) {
  if (panel.id === "learning_rate") return "";
  const last = panel.series[0].y ? panel.series[0].y.findLast((value) => value !== null) : 0;
  return Math.abs(last) >= 10000 ? "~s" : "~g";
}

function figure(panel) {
  const [scale, mark] = axisScale();
  const small = Boolean(panel.small);
  const stacked = panel.id === "goodput";
  const data = stacked ? bars(panel) : [...traces(panel, scale), ...endings(panel, scale), ...marks(panel, scale)];
  const legend = data.some((trace) => trace.showlegend);
  const grid = { gridcolor: css("--grid"), linecolor: css("--line"), zeroline: false, tickfont: { size: small ? 10 : 11, color: css("--faint") },
    fixedrange: matchMedia("(pointer: coarse)").matches };
  const touch = matchMedia("(pointer: coarse)").matches;
  const narrow = legend && innerWidth < 600 && (stacked || panel.id === "loss") ? 60 : 0; // a legend of more lines
  const layout = {
    height: narrow + (stacked ? 118 + 30 * report.value.runs.length : HEIGHT[panel.id] || HEIGHT[panel.id.split("-")[0]] || (small ? HEIGHT.small : 220)),
    margin: { l: stacked && report.value.runs.length === 1 ? 4 : stacked ? 120 : small ? 36 : 48, r: 8, t: legend ? 30 : 8, b: small ? 22 : 30 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", barmode: "stack", bargap: 0.35,
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: css("--soft") },
    uirevision: `${panel.id} ${view.axis}`, hovermode: stacked ? "closest" : "x unified", dragmode: touch ? false : "zoom",
    hoverlabel: { bgcolor: css("--card"), bordercolor: css("--line"), font: { size: 12, color: css("--ink") } },
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", font: { size: 11, color: css("--soft") }, traceorder: "normal" },
    xaxis: { ...grid, showgrid: false, nticks: small ? 4 : 8, tickformat: view.axis === "step" ? ",d" : "~g", ticksuffix: view.axis === "step" ? "" : mark, ...reach(panel, scale) },
    yaxis: { ...grid, nticks: small ? 4 : 6, type: panel.axis || "linear", exponentformat: "e", tickformat: ticks(panel),
      rangemode: panel.section === "speed" ? "tozero" : "normal", ...(panel.axis === "log" ? decades(data) : {}) },
    ...spans(panel, scale),
  };
  if (panel.range) layout.yaxis.range = panel.range;
  if (panel.section === "mixture") layout.yaxis.range = [0, 100];
  if (stacked) Object.assign(layout, { xaxis: { ...grid, range: [0, 100], ticksuffix: " %" }, yaxis: { ...grid, showticklabels: report.value.runs.length > 1, showgrid: false, automargin: true, autorange: "reversed" } });
  return { data, layout };
}
