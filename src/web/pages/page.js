// What the pages do beyond what they do without script: times in the reader's zone, changes as they
// happen, keys. Everything is read from the page itself; what changes is loaded from its own address.
"use strict";
(() => {
  const body = document.body;
  const lang = document.documentElement.lang;
  // What all addresses begin with: there may be a path before ours.
  const base = new URL("../", document.currentScript.src);
  const reached = (path) => new URL(path, base).href;
  const skew = Number(body.dataset.now || Date.now()) - Date.now();
  const now = () => Date.now() + skew;

  // Times.
  const units = lang.startsWith("zh") ? ["秒", "分鐘", "小時", "天"] : ["s", "min", "h", "d"];
  const age = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000));
    if (s < 60) return `${s} ${units[0]}`;
    if (s < 3600) return `${Math.floor(s / 60)} ${units[1]}`;
    if (s < 172800) return `${Math.floor(s / 3600)} ${units[2]}`;
    return `${Math.floor(s / 86400)} ${units[3]}`;
  };
  const local = new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "long" });
  const times = (root) => {
    for (const time of root.querySelectorAll("time.at")) {
      time.textContent = local.format(new Date(time.dateTime));
    }
    for (const time of root.querySelectorAll("time.ago")) {
      time.textContent = age(now() - Date.parse(time.dateTime));
      time.title = time.dateTime;
    }
  };
  times(document);
  setInterval(() => times(document), 15000);

  // Lines for the shell name the server that the page came from.
  for (const here of document.querySelectorAll(".here")) here.textContent = base.href.replace(/\/$/, "");

  // Copying, where there is a clipboard: the ID, or the address without what was done last.
  const copies = document.getElementById("copies");
  if (copies && navigator.clipboard) {
    copies.hidden = false;
    for (const button of copies.querySelectorAll("button")) {
      const label = button.textContent;
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(button.dataset.copy || location.origin + location.pathname);
        } catch { return; }
        button.textContent = copies.dataset.copied;
        setTimeout(() => { button.textContent = label; }, 2000);
      });
    }
  }

  // What this browser keeps, if it keeps anything.
  const kept_here = (name) => {
    try { return localStorage.getItem(name) || ""; } catch { return ""; }
  };
  const keep_here = (name, value) => {
    try { localStorage.setItem(name, value); } catch { /* it does not */ }
  };

  // Who it is, where nobody signs in.
  for (const input of document.querySelectorAll("input[data-name]")) {
    if (!input.value) input.value = kept_here("name");
    input.form.addEventListener("submit", () => keep_here("name", input.value));
  }

  // An address has only what was asked for.
  for (const form of document.querySelectorAll("form.filters")) {
    form.addEventListener("submit", () => {
      for (const field of form.elements) {
        if (field.name && !field.value) field.disabled = true;
      }
    });
  }

  // What the server said last, by id: what it says again is left alone.
  const said = new Map();
  const remember = (root) => {
    for (const part of root.querySelectorAll("[data-live], .card")) said.set(part.id, part.innerHTML);
  };
  // Before times are put into the reader's words the two would always differ, so the first load
  // compares with what is loaded first.
  const list = document.getElementById("list");
  const cards = () => list && list.querySelector("ol.cards");

  // A part that somebody is at is left as it is until they leave it.
  let kept = false;
  const swap = (part, next) => {
    if (said.get(part.id) === next.innerHTML) return;
    if (part.contains(document.activeElement) && part !== document.activeElement) {
      kept = true;
      return;
    }
    said.set(part.id, next.innerHTML);
    const open = [...part.querySelectorAll("details")].map((d) => d.open);
    const left = [...part.querySelectorAll(".wide")].map((w) => w.scrollLeft);
    part.className = next.className;
    part.replaceChildren(...next.cloneNode(true).childNodes);
    [...part.querySelectorAll("details")].forEach((d, at) => { if (open[at]) d.open = true; });
    [...part.querySelectorAll(".wide")].forEach((w, at) => { w.scrollLeft = left[at] || 0; });
    times(part);
  };
  addEventListener("focusout", () => {
    if (!kept) return;
    kept = false;
    refresh();
  });

  // Several at once: the bar is there while something is ticked, and each box says whose it is.
  const bulk = document.getElementById("bulk");
  const name = (root) => {
    for (const box of root.querySelectorAll("input[name=id]")) {
      const title = box.parentElement.querySelector("h2 a");
      const word = box.getAttribute("aria-label").split(": ")[0];
      if (title) box.setAttribute("aria-label", `${word}: ${title.textContent}`);
    }
  };
  const count = () => {
    if (!bulk) return;
    const n = ticked().length;
    const shown = document.getElementById("bulk-count");
    shown.textContent = shown.dataset.n.replace("{n}", n);
    bulk.hidden = n === 0;
    const all = document.getElementById("bulk-all");
    all.hidden = false;
    all.querySelector("input").checked = n > 0 && n === list.querySelectorAll(".card > input").length;
  };

  // The list: cards change where they are; new ones come by themselves unless somebody reads.
  let waiting = null;
  let moved = 0;
  addEventListener("pointermove", () => { moved = Date.now(); }, { passive: true });
  const ticked = () => (list ? [...list.querySelectorAll(".card > input:checked")] : []);
  const reading = () => scrollY > 8 || ticked().length > 0 || (list && list.contains(document.activeElement)) ||
    (list && list.matches(":hover") && Date.now() - moved < 10000);

  const card = (shown, next) => {
    shown.classList.remove("gone");
    if (said.get(next.id) === next.innerHTML) return;
    said.set(next.id, next.innerHTML);
    const focused = shown.contains(document.activeElement);
    const tick = shown.querySelector("input:checked") !== null;
    shown.className = next.className;
    shown.replaceChildren(...next.cloneNode(true).childNodes);
    if (tick) shown.querySelector("input").checked = true;
    if (focused) shown.querySelector("a").focus({ preventScroll: true });
    times(shown);
    name(shown);
  };

  const arrive = (next) => {
    waiting = null;
    pill(0);
    const from = next.querySelector("ol.cards");
    const into = cards();
    if (!from || !into) {
      list.replaceChildren(...next.cloneNode(true).childNodes);
      remember(list);
      times(list);
      if (!into) connect();
      return;
    }
    const keep = new Set();
    let place = into.firstElementChild;
    for (const fresh of from.children) {
      keep.add(fresh.id);
      let shown = document.getElementById(fresh.id);
      if (!shown) {
        shown = fresh.cloneNode(true);
        shown.classList.add("fresh");
        said.set(shown.id, fresh.innerHTML);
        times(shown);
      }
      if (shown === place) place = place.nextElementSibling;
      else into.insertBefore(shown, place);
    }
    for (const shown of [...into.children]) if (!keep.has(shown.id)) shown.remove();
    name(list);
    count();
    const pager = list.querySelector(".pager");
    const paged = next.querySelector(".pager");
    if (pager && paged) pager.replaceWith(paged.cloneNode(true));
    connect();
  };

  const bar = document.getElementById("live");
  const button = document.createElement("button");
  button.className = "pill";
  button.hidden = true;
  button.addEventListener("click", () => {
    if (!waiting) return;
    scrollTo(0, 0);
    arrive(waiting);
    const first = list.querySelector(".card a");
    if (first) first.focus({ preventScroll: true });
  });
  const pill = (n, title) => {
    button.hidden = n === 0;
    if (n === 0) return;
    const forms = body.dataset.new.split("|");
    const form = n === 1 ? forms[0] : forms[forms.length - 1];
    button.textContent = `↑ ${form.replace("{n}", n)}: ${title}`;
  };
  const settle = () => { if (waiting && !reading()) arrive(waiting); };
  setInterval(settle, 1000);
  addEventListener("scroll", settle, { passive: true });

  const listed = (next) => {
    const fresh = [];
    const there = new Set();
    for (const item of next.querySelectorAll(".card")) {
      there.add(item.id);
      const shown = document.getElementById(item.id);
      if (shown) card(shown, item);
      else fresh.push(item);
    }
    for (const shown of list.querySelectorAll(".card")) {
      if (!there.has(shown.id)) shown.classList.add("gone");
    }
    waiting = next;
    if (!reading()) return arrive(next);
    if (fresh.length) pill(fresh.length, fresh[0].querySelector("h2 a").textContent);
  };

  if (bulk) {
    bulk.classList.add("over");
    name(list);
    count();
    list.addEventListener("change", count);
    document.querySelector("#bulk-all input").addEventListener("change", (event) => {
      for (const box of list.querySelectorAll(".card > input")) box.checked = event.target.checked;
      count();
    });
  }

  // Loading the page's own address again.
  let busy = false;
  let again = false;
  // As often as the server can take it: the pause is ten times as long as the last answer took.
  const LEAST = 250;
  const MOST = 2000;
  let free = 0;
  let loaded = now();
  const refresh = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const pause = free - Date.now();
      if (pause > 0) await new Promise((done) => setTimeout(done, pause));
      again = false;
      const began = Date.now();
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.redirected && answer.url.startsWith(reached("sign-in"))) {
        location.assign(answer.url);
        return;
      }
      if (!answer.ok) { off(); return; }
      const html = await answer.text();
      const ended = Date.now();
      free = ended + Math.min(Math.max(LEAST, (ended - began) * 10), MOST);
      const page = new DOMParser().parseFromString(html, "text/html");
      loaded = now();
      for (const next of page.querySelectorAll("[data-live]")) {
        const part = document.getElementById(next.id);
        if (!part) continue;
        if (part === list) listed(next);
        else swap(part, next);
      }
      if (!told) live();
      // Other incidents may stand there now.
      else if (!list && page.body.dataset.watch) {
        body.dataset.watch = page.body.dataset.watch;
        connect();
      }
    } catch { off(); } finally {
      busy = false;
      if (again) { again = false; refresh(); }
    }
  };

  // Being told.
  const state = document.createElement("span");
  if (bar) bar.replaceChildren(state, button);
  const show = (name, text) => {
    if (!bar) return;
    bar.dataset.state = name;
    if (state.textContent !== text) state.textContent = text;
  };
  const live = () => show("live", `● ${body.dataset.live}`);
  const off = () => {
    const time = local.format(new Date(loaded));
    show("off", `⚠ ${body.dataset.off.replace("{time}", time)}`);
  };
  // A page that is not told of changes asks for them; one where nothing changes says nothing.
  const told = body.dataset.watch !== undefined;
  if (bar && !document.querySelector("[data-live]")) bar.hidden = true;
  else if (!told) live();
  // A page that shows others now is heard on its old connection until the new one is there, so that
  // nothing that happens in between is missed.
  let source = null;
  let old = null;
  let asked = "";
  const hush = () => {
    if (old) old.close();
    old = null;
  };
  const watch = () => {
    const ids = cards() ? [...cards().children].map((c) => c.id.slice(1)).join(",") : "";
    return ids ? body.dataset.watch.replace(/ids=[^&]*/, `ids=${ids}`) : body.dataset.watch;
  };
  function connect() {
    if (!bar || !told || document.hidden) return;
    const query = watch();
    if (source && asked === query && source.readyState !== EventSource.CLOSED) return;
    if (source && source.readyState === EventSource.OPEN) {
      hush();
      old = source;
    } else if (source) source.close();
    if (!old) show("wait", body.dataset.wait);
    asked = query;
    const next = new EventSource(reached(`events?${query}`));
    source = next;
    next.addEventListener("hello", () => {
      live();
      if (old) hush();
      else refresh();
    });
    next.addEventListener("change", refresh);
    next.addEventListener("all", refresh);
    next.addEventListener("error", () => {
      if (next !== source) return;
      hush();
      off();
      // What the server refused is asked for again, too: it may be starting.
      if (next.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
    });
  }
  // Browsers allow few connections to one server: a page that nobody sees asks now and then.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      hush();
      if (source) source.close();
    } else if (told) connect();
    else refresh();
  });
  connect();
  // Windows slide, and that is told by nobody.
  setInterval(() => { if (!document.hidden) refresh(); }, 60000);

  // What waits for somebody: in the tab's title and its icon, also while nobody looks; and told on the desktop or by
  // a sound to those who chose so in this browser.
  // A browser lets a page sound only after somebody has clicked or typed in it.
  let audio = null;
  const ready = () => {
    if (!audio) audio = new AudioContext();
    return audio.state === "running" ? undefined : audio.resume();
  };
  const beep = () => {
    if (ready()) return;
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    tone.frequency.value = 880;
    volume.gain.setValueAtTime(0.2, audio.currentTime);
    volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + 0.6);
    tone.connect(volume).connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.6);
  };
  const notify = (incident) => {
    if (kept_here("desktop") === "on" && Notification.permission === "granted") {
      const place = [incident.severity, incident.service].filter(Boolean).join(" · ");
      const note = new Notification(incident.title, { body: place, tag: incident.id, icon: icon.href });
      note.addEventListener("click", () => {
        focus();
        location.assign(reached(`incidents/${incident.id}`));
      });
    }
    if (kept_here("sound") === "on") beep();
  };
  const title = document.title;
  const icon = document.querySelector("link[rel=icon]");
  const [calm, waits] = [icon.href, document.getElementById("waiting").href];
  let newest = null;
  const attend = async () => {
    try {
      const answer = await fetch(reached("attention"), { headers: { accept: "application/json" } });
      if (!answer.ok) return;
      const found = await answer.json();
      const n = found.waiting;
      document.title = n ? `(${n > 99 ? "99+" : n}) ${title}` : title;
      const shown = n ? waits : calm;
      if (icon.href !== shown) icon.href = shown;
      const last = found.newest ? found.newest.id : "";
      // IDs grow with time. Of several tabs, the first tells of it.
      if (newest !== null && last > newest && last > kept_here("told")) {
        keep_here("told", last);
        notify(found.newest);
      }
      if (newest === null || last > newest) newest = last;
    } catch { /* the page says that it is cut off */ }
  };
  if (bar) {
    attend();
    setInterval(attend, 5000);
  }
  const choice = (name, choose) => {
    const switched = document.getElementById(name);
    if (!switched) return;
    switched.hidden = false;
    const paint = () => switched.setAttribute("aria-pressed", String(kept_here(name) === "on"));
    paint();
    switched.addEventListener("click", async () => {
      const on = kept_here(name) !== "on" && await choose();
      keep_here(name, on ? "on" : "off");
      paint();
    });
  };
  if ("Notification" in window) {
    choice("desktop", async () => await Notification.requestPermission() === "granted");
  }
  choice("sound", async () => {
    await ready();
    beep();
    return true;
  });
  for (const event of ["pointerdown", "keydown"]) {
    addEventListener(event, () => {
      if (kept_here("sound") === "on") ready();
    }, { passive: true });
  }

  // Keys, unless somebody writes or does not want them.
  const toggle = document.getElementById("keys");
  let keys = kept_here("keys") !== "off";
  if (toggle) {
    toggle.hidden = false;
    const paint = () => toggle.setAttribute("aria-pressed", String(keys));
    paint();
    toggle.addEventListener("click", () => {
      keys = !keys;
      paint();
      keep_here("keys", keys ? "on" : "off");
    });
  }
  // The keys as a sheet.
  const help = () => {
    const sheet = document.createElement("dialog");
    const list = document.createElement("ul");
    for (const line of document.getElementById("keys-list").textContent.split(" · ")) {
      list.append(Object.assign(document.createElement("li"), { textContent: line }));
    }
    const close = Object.assign(document.createElement("button"), { textContent: "✕" });
    close.setAttribute("aria-label", "Esc");
    close.addEventListener("click", () => sheet.close());
    sheet.append(list, close);
    sheet.setAttribute("aria-labelledby", "keys");
    sheet.addEventListener("close", () => sheet.remove());
    body.append(sheet);
    sheet.showModal();
  };
  // On an incident: to where it is done. Enter does it.
  const places = {
    a: "form[action$='/acknowledge'] button.primary",
    r: "[formaction$='/resolve']:not(#bulk *)",
    m: "#mute-for",
    n: "#note-act",
  };
  const go = (key) => {
    const place = places[key] && document.querySelector(places[key]);
    if (!place) return;
    for (let at = place.closest("details"); at; at = at.parentElement.closest("details")) at.open = true;
    place.focus();
    place.scrollIntoView({ block: "center" });
  };
  const step = (by) => {
    const links = [...document.querySelectorAll(".card h2 a")];
    if (!links.length) return;
    const at = links.findIndex((link) => link.closest(".card").contains(document.activeElement));
    const to = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + by, 0), links.length - 1);
    links[to].focus();
    links[to].closest(".card").scrollIntoView({ block: "nearest" });
  };
  addEventListener("keydown", (event) => {
    if (!keys || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const search = document.getElementById("search");
    if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "n" && !button.hidden) button.click();
    else if (event.key === "?" && document.getElementById("keys-list")) help();
    else if (!list && places[event.key]) { event.preventDefault(); go(event.key); }
    else if (event.key === "x" && list) {
      const box = document.activeElement.closest(".card")?.querySelector("input[name=id]");
      if (box) { box.checked = !box.checked; count(); }
    } else if (event.key === "u" && !list) location.assign(reached("incidents"));
    else if (event.key === "/" && search) { event.preventDefault(); search.focus(); search.select(); }
  });
})();
