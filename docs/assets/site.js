// What the page does beyond being read: dark or light, questions that hide what follows, search. Without it everything is visible.
"use strict";
const page = document.documentElement;
page.classList.add("js");
const remembered = {
  get: () => { try { return localStorage.getItem("theme"); } catch { return null; } },
  set: (theme) => { try { localStorage.setItem("theme", theme); } catch { /* a file:// page may have no memory */ } },
};
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const setTheme = () => (page.dataset.theme = remembered.get() || (systemDark.matches ? "dark" : "light"));
setTheme();
systemDark.addEventListener("change", setTheme);

document.addEventListener("DOMContentLoaded", () => {
  document.querySelector(".theme").addEventListener("click", () => {
    page.dataset.theme = page.dataset.theme === "dark" ? "light" : "dark";
    remembered.set(page.dataset.theme);
  });

  // What is wider than its box can be scrolled by keyboard.
  const scrollable = () => {
    for (const box of document.querySelectorAll(".code, .snippet, .display, .drawing"))
      if (box.scrollWidth > box.clientWidth + 1)
        Object.assign(box, { tabIndex: 0, role: "region", ariaLabel: box.matches(".drawing") ? "figure" : "code" });
  };

  // A question hides the values and figures that follow it, wherever the page mentions them, until an answer is chosen.
  const veil = (question) => {
    for (const result of (question.dataset.reveals || "").split(" ").filter(Boolean)) {
      const open = document.querySelector(`.question:not(.answered)[data-reveals~="${CSS.escape(result)}"]`);
      for (const part of document.querySelectorAll(`[data-result="${CSS.escape(result)}"]`)) part.classList.toggle("veiled", !!open);
    }
    scrollable();
  };
  scrollable();
  for (const question of document.querySelectorAll(".question")) {
    veil(question);
    for (const item of question.querySelectorAll("li")) {
      const button = item.querySelector("button");
      button.setAttribute("aria-expanded", "false");
      button.addEventListener("click", () => {
        item.classList.add("chosen");
        button.setAttribute("aria-expanded", "true");
        question.classList.add("answered");
        veil(question);
      });
    }
  }

  // Folded parts open for the printer, and for a link that leads into them.
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => (part.open = true)));
  const unfold = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let part = target.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", unfold);
  unfold();
  search();
});

function search() {
  const input = document.querySelector(".search input");
  const hits = document.querySelector(".hits");
  const load = () => {
    if (load.done) return;
    load.done = true;
    const script = document.createElement("script");
    script.src = page.dataset.root + "search.js";
    script.onload = show;
    document.head.append(script);
  };
  const score = (entry, words, phrase) => {
    const title = entry[1].toLowerCase(), text = entry[4].toLowerCase();
    if (!words.every((word) => title.includes(word) || text.includes(word))) return 0;
    const name = title.split("::").pop();
    if (name === phrase) return 100 + (entry[0] === "type" || entry[0] === "function") * 10;
    if (name.startsWith(phrase)) return 60;
    return words.filter((word) => title.includes(word)).length * 20 + (text.includes(phrase) ? 5 : 1);
  };
  const marked = (text, words) => {                       // text nodes and <b>, never HTML from the index
    const parts = [], lower = text.toLowerCase();
    for (let at = 0; at < text.length;) {
      const next = words.map((word) => [lower.indexOf(word, at), word.length]).filter(([i]) => i >= 0).sort((a, b) => a[0] - b[0])[0];
      if (!next) { parts.push(text.slice(at)); break; }
      const bold = document.createElement("b");
      bold.textContent = text.slice(next[0], next[0] + next[1]);
      parts.push(text.slice(at, next[0]), bold);
      at = next[0] + next[1];
    }
    return parts;
  };
  function show() {
    const phrase = input.value.trim().toLowerCase(), words = phrase.split(/\s+/).filter(Boolean);
    hits.hidden = !words.length || !window.chainruleIndex;
    if (hits.hidden) return;
    const found = chainruleIndex.map((entry) => [score(entry, words, phrase), entry]).filter(([s]) => s).sort((a, b) => b[0] - a[0]).slice(0, 20);
    hits.replaceChildren(...found.map(([, [kind, title, url, where, text]]) => {
      const item = document.createElement("li"), link = document.createElement("a"), small = document.createElement("small");
      const at = Math.max(0, text.toLowerCase().indexOf(words[0]) - 40);
      link.href = page.dataset.root + url;
      link.append(...marked(title, words));
      small.append(`${where}${kind === "part" || kind === "page" ? "" : ` · ${kind}`} · `, ...marked((at ? "…" : "") + text.slice(at, at + 140), words));
      link.append(small);
      item.append(link);
      return item;
    }));
    if (!found.length) {
      const none = document.createElement("li");
      none.className = "none";
      none.textContent = "Nothing here of that name.";
      hits.append(none);
    }
  }
  input.addEventListener("focus", load);
  input.addEventListener("input", () => { load(); show(); });
  document.querySelector(".search").addEventListener("keydown", (event) => {
    const links = [...hits.querySelectorAll("a")], at = links.indexOf(document.activeElement);
    const go = (element) => { event.preventDefault(); element.focus(); };
    if (event.key === "Escape") { input.value = ""; show(); input.blur(); }
    else if (event.key === "ArrowDown" && links.length) go(links[Math.min(at + 1, links.length - 1)]);
    else if (event.key === "ArrowUp" && at >= 0) go(at ? links[at - 1] : input);
    else if (event.key === "Enter" && at < 0 && links.length) links[0].click();
  });
  document.addEventListener("click", (event) => { if (!event.target.closest(".search")) hits.hidden = true; });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      input.focus();
    }
  });
}
