// The book in a browser: what the reader has read, and, where the book is served, Run on every cell.
"use strict";

(() => {
  const root = document.documentElement;
  const page = location.pathname.split("/").pop().replace(/\.html$/, "") || "index";

  // Progress stays in this browser.
  const store = {
    key: "cooper-progress",
    get() {
      try { return JSON.parse(localStorage.getItem(this.key)) || {}; } catch { return {}; }
    },
    set(name, value) {
      const all = this.get();
      all[name] = { ...all[name], ...value };
      try { localStorage.setItem(this.key, JSON.stringify(all)); } catch { /* a browser may keep nothing */ }
    },
  };

  function markRead() {
    const read = store.get();
    for (const link of document.querySelectorAll(".sidebar a[href]")) {
      const name = new URL(link.href).pathname.split("/").pop().replace(/\.html$/, "");
      if (read[name]?.read && !link.hash) {
        link.classList.add("read");
        link.title = "read";
      }
    }
  }

  // A page counts as read when its end has been in view.
  const end = document.querySelector("main > :last-child");
  if (end && "IntersectionObserver" in window) {
    new IntersectionObserver((entries, observer) => {
      if (entries.some((entry) => entry.isIntersecting)) {
        store.set(page, { read: true });
        markRead();
        observer.disconnect();
      }
    }).observe(end);
  }
  window.addEventListener("load", markRead);

  // What follows needs somebody to run cells.
  const cells = [...document.querySelectorAll("figure.cell")];
  if (root.dataset.served === undefined) return;

  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  let socket = null;
  let running = null; // the cell that runs
  let queue = []; // the cells that wait
  let stale = false;

  const state = make("span", { className: "state" });
  state.setAttribute("role", "status");
  const say = (text) => { state.textContent = text; };
  const runAll = make("button", { type: "button", textContent: "Run all", onclick: () => start(cells) });
  const stop = make("button", { type: "button", textContent: "Stop", disabled: true, onclick: halt });
  const reset = make("button", { type: "button", textContent: "Reset", onclick: clear });
  reset.title = "End this page's shell and all that it started";

  function connect() {
    const base = new URL(path_to_root || "./", location.href);
    const address = new URL(`run/${encodeURIComponent(cells[0]?.dataset.page ?? page)}`, base);
    address.protocol = "ws:";
    const opened = new WebSocket(address);
    opened.onmessage = (message) => hear(JSON.parse(message.data));
    opened.onclose = () => {
      finish();
      say("The book is no longer served: start it again and reload");
      for (const button of document.querySelectorAll(".cell-bar button, .page-bar button")) button.disabled = true;
    };
    return opened;
  }
  const ask = (what) => socket?.readyState === WebSocket.OPEN && socket.send(JSON.stringify(what));

  // Cells.
  function start(some, byHand = false) {
    if (running || !some.length) return;
    queue = some.slice(1);
    run(some[0], byHand);
  }

  function run(cell, byHand) {
    running = cell;
    cell.classList.remove("same", "differs", "broken");
    cell.classList.add("running", "ran");
    cell.live.replaceChildren();
    cell.verdict.textContent = "";
    stop.disabled = false;
    for (const button of document.querySelectorAll("button.start")) button.disabled = true;
    const go = () => ask({ run: { cell: cell.dataset.cell, hash: cell.dataset.hash, by_hand: byHand } });
    if (cell.dataset.tty === undefined) go(); else openTerminal(cell, byHand).then(go, (error) => say(String(error)));
  }

  function finish() {
    running?.classList.remove("running");
    running = null;
    stop.disabled = true;
    for (const button of document.querySelectorAll("button.start")) button.disabled = false;
    if (stale && !queue.length) location.reload();
  }

  function halt() {
    queue = [];
    say("Stopping …");
    ask("stop");
  }

  function clear() {
    queue = [];
    ask("reset");
    for (const cell of cells) {
      cell.classList.remove("ran", "same", "differs", "broken", "has-terminal");
      cell.verdict.textContent = "";
    }
  }

  // What the server says.
  const heard = {
    begin: ({ cell }) => say(`Running ${cell} …`),
    state: (text) => say(text + " …"),
    command(text) {
      // What is typed stands where its output will come.
      if (running?.terminal) running.terminal.write(`\x1b[90m$\x1b[0m \x1b[1m${text.replaceAll("\n", "\r\n> ")}\x1b[0m\r\n`);
      else put(make("span", { className: "prompt", textContent: "$ " }), make("span", { className: "typed", textContent: text.replaceAll("\n", "\n> ") + "\n" }));
    },
    output(text) {
      if (running?.terminal) running.terminal.write(text); else put(text.replace(/\x1b\[[0-?]*[ -/]*[@-~]/g, ""));
    },
    code(code) {
      if (code === 0) return;
      if (running?.terminal) running.terminal.write(`\x1b[31mexit code ${code}\x1b[0m\r\n`);
      else put(make("span", { className: "code-bad", textContent: `exit code ${code}\n` }));
    },
    done(verdict) {
      const cell = running;
      if (!cell) return;
      conclude(cell, verdict);
      finish();
      if (queue.length && verdict.same) run(queue.shift(), false); else queue = [];
    },
    ended(why) {
      queue = [];
      say(why === "reset" ? "The next cell finds everything as new" : `Ended: ${why}. Run all above brings the shell back`);
      if (running) {
        running.classList.add("broken");
        running.verdict.textContent = `ended: ${why}`;
      }
      finish();
    },
    reload() {
      stale = true;
      if (!running) location.reload();
    },
    trouble: (text) => say(`The page does not build: ${text}`),
  };

  function hear(message) {
    const [name, value] = typeof message === "string" ? [message, null] : Object.entries(message)[0];
    heard[name]?.(value);
  }

  function put(...nodes) {
    running?.live.append(...nodes);
    if (running) running.live.scrollTop = running.live.scrollHeight;
  }

  function conclude(cell, { same, commands }) {
    cell.classList.add(same ? "same" : "differs");
    cell.verdict.textContent = same ? "as recorded" : "differs from the record";
    say(`${cell.dataset.cell}: ${cell.verdict.textContent}`);
    if (same) store.set(page, { cells: { ...store.get()[page]?.cells, [cell.dataset.cell]: true } });
    if (same || cell.terminal) return;
    cell.live.replaceChildren();
    for (const [text, code, lines] of commands) {
      cell.live.append(make("span", { className: "prompt", textContent: "$ " }), make("span", { className: "typed", textContent: text + "\n" }));
      for (const [mark, line] of lines) {
        const name = { "+": "more", "-": "less" }[mark];
        const shown = make("span", { className: name ?? "", textContent: line });
        if (name) shown.setAttribute("aria-label", `${mark === "+" ? "not recorded" : "recorded only"}: ${line}`);
        cell.live.append(shown, "\n");
      }
      if (code !== 0) cell.live.append(make("span", { className: "code-bad", textContent: `exit code ${code}\n` }));
    }
  }

  // The terminal, loaded when the first cell wants one.
  let loading = null;
  function load() {
    const file = (name) => new URL(`theme/xterm/${name}`, new URL(path_to_root || "./", location.href)).href;
    const script = (name) => new Promise((resolve, reject) => document.head.append(make("script", { src: file(name), onload: resolve, onerror: reject })));
    loading ??= (document.head.append(make("link", { rel: "stylesheet", href: file("xterm.css") })), script("xterm.js").then(() => script("addon-fit.js")));
    return loading;
  }

  async function openTerminal(cell, byHand) {
    await load();
    cell.terminal?.dispose();
    cell.classList.add("has-terminal");
    const fits = new FitAddon.FitAddon();
    const terminal = new Terminal({ cols: 80, rows: 24, fontSize: 13, screenReaderMode: true, theme: { background: "#10151b" } });
    terminal.loadAddon(fits);
    terminal.open(cell.screen);
    cell.terminal = terminal;
    if (byHand) {
      fits.fit();
      terminal.focus();
    }
    ask({ size: [terminal.rows, terminal.cols] });
    terminal.onData((keys) => ask({ type: keys }));
    // Tab belongs to the program; this way out is for those who have no mouse.
    terminal.attachCustomKeyEventHandler((event) => {
      if (event.key !== "Escape" || !event.shiftKey) return true;
      if (event.type === "keydown") stop.focus();
      return false;
    });
  }

  // The page's controls.
  cells.forEach((cell, index) => {
    const bar = cell.querySelector(".cell-bar");
    const name = cell.dataset.cell;
    const button = (text, title, onclick, more = "") => {
      const made = make("button", { type: "button", className: `start ${more}`, textContent: text, title, onclick });
      made.setAttribute("aria-label", `${text}: ${name}`);
      return made;
    };
    cell.verdict = make("span", { className: "verdict" });
    cell.live = make("pre", { className: "live", tabIndex: 0 });
    cell.live.setAttribute("aria-label", `your output of ${name}`);
    cell.screen = make("div");
    bar.append(cell.verdict, button("Run", "Run this cell", () => start([cell]), "run"));
    if (index > 0) bar.append(button("Run all above", "Run the cells above, then this one", () => start(cells.slice(0, index + 1))));
    if (cell.dataset.tty !== undefined) bar.append(button("Type it yourself", "Open the terminal and type (Shift+Escape leaves it)", () => start([cell], true)));
    cell.append(make("div", { className: "live-title", textContent: "Yours, just now" }), make("div", { className: "cell-screen" }, cell.screen), cell.live);
  });
  if (cells.length) {
    runAll.classList.add("start");
    const bar = make("div", { className: "page-bar" }, state, runAll, stop, reset);
    bar.setAttribute("role", "toolbar");
    bar.setAttribute("aria-label", "cells of this page");
    document.querySelector("main").append(bar);
  }
  socket = connect();
})();
