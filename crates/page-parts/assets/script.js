// What pages do by themselves where scripts run. All of them work without it.
"use strict";

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

follow(document.querySelector("[data-events]"));

// Shows a job's changes as they happen, until it has ended.
function follow(job) {
  if (!job) return;
  const events = new EventSource(job.dataset.events);
  let status = job.dataset.status;

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
  // Refused, for example because too many follow their jobs: then as if there were no scripts.
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
  });
  // Moving up in the queue is no event.
  setInterval(() => {
    if (status === "pending" && !document.hidden) renew();
  }, 10000);

  function showProgress({ percent, message }) {
    const bar = job.querySelector("progress");
    if (bar && percent !== undefined) bar.value = percent;
    const text = job.querySelector("[data-progress]");
    if (text) text.textContent = progressWords(percent, message);
  }

  // The log of the page was read when it was made; the stream begins at its beginning.
  let isFirst = true;
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

// Puts the page as it is now in the place of what it was, without losing the reader's place.
async function renew() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focused = document.activeElement?.closest("form")?.getAttribute("action");
  document.title = fresh.title;
  for (const id of ["state", "rest"]) {
    const [old, now] = [document.getElementById(id), fresh.getElementById(id)];
    if (!old || !now) return location.reload();
    // What is as it was is not told again to those who listen.
    if (old.innerHTML !== now.innerHTML) old.innerHTML = now.innerHTML;
  }
  if (focused) {
    const same = document.querySelector(`form[action="${focused}"] button`);
    (same ?? document.getElementById("main")).focus();
  }
}
