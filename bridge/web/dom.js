"use strict";
// Whatever a webhook says reaches the page as text only: by textContent, never as markup.

const id = (name) => document.getElementById(name);

function make(tag, className = "", text = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  node.append(...children);
  return node;
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

let unsay = 0;

function say(text) {
  put(id("said"), text);
  clearTimeout(unsay);
  unsay = setTimeout(() => put(id("said"), ""), 8000); // it stands over what is below
}

function live(text, className) {
  put(id("live"), text);
  id("live").className = `pill ${className}`;
}

// Words for figures

function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < 3) { bytes /= 1024; unit += 1; }
  return `${unit ? bytes.toFixed(1) : bytes} ${units[unit]}`;
}

const count = (number, word) => `${number.toLocaleString()} ${word}${number === 1 ? "" : "s"}`;
const day = (at) => new Date(at * 1000).toLocaleString();

/** The time of a moment, and its day where that is not today. */
function clock(at) {
  const then = new Date(at * 1000);
  if (then.toDateString() === new Date().toDateString()) return then.toLocaleTimeString();
  return then.toLocaleString([], { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
}

// A list of nodes that stay as long as what they stand for: focus and what is open are kept

class Keyed {
  constructor(list, create, update) {
    Object.assign(this, { list, create, update, nodes: new Map() });
  }

  show(entries) {
    const wanted = new Set(entries.map(([key]) => key));
    for (const [key, node] of this.nodes) {
      if (!wanted.has(key)) { node.remove(); this.nodes.delete(key); }
    }
    let next = this.list.firstChild;
    for (const [key, value] of entries) {
      let node = this.nodes.get(key);
      if (!node) { node = this.create(value); this.nodes.set(key, node); }
      if (node.shown !== value) { node.shown = value; this.update(node, value); }
      if (node === next) next = next.nextSibling;
      else this.list.insertBefore(node, next);
    }
  }
}
