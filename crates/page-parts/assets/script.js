// What pages do by themselves where scripts run. All of them work without it.
"use strict";

// What was refused or did not arrive is asked for again after so long, in milliseconds.
const AGAIN = 5000;

// A form is sent once, however often its button is pressed. The server knows a second one as well.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", () => {
    const buttons = form.querySelectorAll("button");
    setTimeout(() => buttons.forEach((button) => (button.disabled = true)));
  });
}
// A page that is come back to can be sent again.
addEventListener("pageshow", () => {
  document.querySelectorAll("button[disabled]").forEach((button) => (button.disabled = false));
});

// What is wrong is told first.
document.querySelector("[role=alert][tabindex]")?.focus();

// The next look at a page whose last one failed.
let later;
follow(document.querySelector("[data-events]"));

// Shows a job's changes as they happen, until it has ended.
function follow(job) {
  if (!job) return;
  let isFirst;
  let status = job.dataset.status;
  listen();
  // Moving up in the queue is no event.
  setInterval(() => {
    if (job.dataset.events && status === "pending" && !document.hidden) renew();
  }, 10000);

  function listen() {
    const events = new EventSource(job.dataset.events);
    // The stream begins at its beginning, and the page has a part of the log already.
    isFirst = true;
    events.addEventListener("progress", (event) => showProgress(JSON.parse(event.data)));
    events.addEventListener("log", (event) => addToLog(event.data));
    events.addEventListener("status", (event) => {
      const now = JSON.parse(event.data);
      if (now.status !== status || now.cancel_requested) renew();
      else if (now.progress) showProgress(now.progress);
      status = now.status;
    });
    events.addEventListener("end", () => {
      events.close();
      status = "ended";
      renew();
    });
    // Refused, for example because too many follow their jobs: looked at from time to time until there is room.
    events.addEventListener("error", () => {
      if (events.readyState !== EventSource.CLOSED) return;
      setTimeout(async () => {
        await renew();
        if (job.dataset.events) listen();
      }, AGAIN);
    });
  }

  function showProgress({ percent, message }) {
    const bar = job.querySelector("progress");
    if (bar && percent !== undefined) bar.value = percent;
    const text = job.querySelector("[data-progress]");
    if (text) text.textContent = progressWords(percent, message);
  }

  function addToLog(text) {
    const log = document.querySelector("[data-log]");
    if (!log) return;
    log.hidden = false;
    const pre = log.querySelector("pre");
    pre.textContent = isFirst ? text : `${pre.textContent}\n${text}`;
    // As much as the server would show.
    pre.textContent = pre.textContent.slice(-16384);
    pre.scrollTop = pre.scrollHeight;
    isFirst = false;
  }
}

function progressWords(percent, message) {
  const words = [];
  if (percent !== undefined) words.push(`${Math.floor(percent)} %`);
  if (message) words.push(message);
  return words.join(" · ");
}

// Asks for the page as it is now, and again where the server has no time for it or does not answer.
async function renew() {
  clearTimeout(later);
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    // A job that is gone does not come back, and its page says so.
    if (answer.status === 404 || answer.status === 410) return location.reload();
    if (!answer.ok) throw new Error(`${answer.status}`);
    show(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    clearTimeout(later);
    later = setTimeout(renew, AGAIN);
  }
}

// Puts a page in the place of what it was, without losing the reader's place.
function show(fresh) {
  const focused = document.activeElement?.closest("form")?.getAttribute("action");
  document.title = fresh.title;
  for (const id of ["state", "rest"]) {
    const [old, now] = [document.getElementById(id), fresh.getElementById(id)];
    if (!old || !now) return location.reload();
    // What is as it was is not told again to those who listen.
    if (old.innerHTML !== now.innerHTML) old.innerHTML = now.innerHTML;
  }
  // A job that has ended has no more events.
  if (!fresh.querySelector("[data-events]")) document.getElementById("state").removeAttribute("data-events");
  if (focused) {
    const same = document.querySelector(`form[action="${focused}"] button`);
    (same ?? document.getElementById("main")).focus();
  }
}
