"use strict";

// Keeps a rollout's page current from the server's events, and counts times down.

const MINUTE = 60;
const UNITS = [["d", 86400], ["h", 3600], ["m", MINUTE], ["s", 1]];

function distance(seconds) {
  const total = Math.abs(Math.round(seconds));
  const at = UNITS.findIndex(([, size]) => total >= size);
  if (at === -1) return "now";
  const parts = UNITS.slice(at, at + 2).map(([name, size], index) => {
    const whole = index === 0 ? Math.floor(total / size) : Math.floor((total % UNITS[at][1]) / size);
    return whole ? `${whole}${name}` : "";
  });
  const text = parts.join("");
  return seconds < 0 ? `${text} ago` : `in ${text}`;
}

function showTimes() {
  const now = Date.now();
  for (const element of document.querySelectorAll("time[datetime]")) {
    element.title = distance((Date.parse(element.dateTime) - now) / 1000);
  }
  for (const bar of document.querySelectorAll("progress[data-started]")) {
    const value = Math.max(0, (now - Date.parse(bar.dataset.started)) / 1000);
    bar.value = Math.min(bar.max, value);
  }
}

function replaceFragment(event) {
  const { id, html } = JSON.parse(event.data);
  const section = document.getElementById(id);
  if (section === null) return;
  const focused = section.contains(document.activeElement) ? document.activeElement : null;
  section.innerHTML = html; // rendered and escaped by the console itself
  const target = focused?.getAttribute("href");
  if (target) [...section.querySelectorAll("a")].find((link) => link.getAttribute("href") === target)?.focus();
  showTimes();
}

function follow(live) {
  const connection = document.getElementById("connection");
  const events = new EventSource(live.dataset.events);
  events.addEventListener("fragment", replaceFragment);
  events.addEventListener("open", () => { connection.hidden = true; });
  events.addEventListener("error", () => { connection.hidden = false; });
}

const live = document.getElementById("live");
if (live !== null) follow(live);
showTimes();
setInterval(showTimes, 1000);
