"use strict";
// Words, numbers and elements: the small things that every part of the page uses.

const WORDS = JSON.parse(document.getElementById("words").textContent);
const stored = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
const store = (key, value) => { try { localStorage.setItem(key, value); } catch { /* a file may have no storage */ } };

const view = {
  language: stored("language") || (navigator.language.startsWith("zh") ? "zh" : "en"),
  theme: stored("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"),
  axis: "step",
  kind: "all",
  shown: "heldout",
  whole: false,
};

/** A text in the reader's language; a plain string is the same in all. */
function text(value) {
  return typeof value === "string" ? value : value[view.language];
}

function say(key, values = {}) {
  return WORDS[key][view.language].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Four digits, thousands apart. */
function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 1000) return value.toLocaleString("en", { maximumFractionDigits: 0 });
  if (size !== 0 && size < 0.001) return value.toExponential(2);
  return value.toLocaleString("en", { maximumSignificantDigits: 4 });
}

/** `el("p", { class: "note" }, child, ...)`; strings become text, never markup. */
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function dot(color) {
  return el("i", { class: "dot", style: `background:${color}` });
}

/** Buttons of which one is pressed. */
function choice(options, pressed, choose) {
  return options.map(([value, label]) =>
    el("button", { type: "button", "aria-pressed": value === pressed, onclick: () => choose(value) }, label));
}

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function palette() {
  return css("--palette").split(",").map((color) => color.trim());
}
