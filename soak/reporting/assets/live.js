// The live page of a run: takes its state and its readings from the server as they come, and draws them.
"use strict";

const MOST_POINTS = 1200;
const COLOURS = ["--series", "--fit", "--ink"];
const POWERS_OF_TWO = Array.from({ length: 50 }, (_, power) => 2 ** power);
const charts = new Map();
const byId = (id) => document.getElementById(id);

function element(kind, text, className) {
  const made = document.createElement(kind);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function scaled(value, unit) {
  if (unit !== "bytes") return value.toLocaleString("en");
  for (const [size, name] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]]) {
    if (Math.abs(value) >= size) return `${(value / size).toPrecision(3)} ${name}`;
  }
  return `${Math.round(value)} B`;
}

function plot(place, signals) {
  const axis = { stroke: colour("--muted"), grid: { stroke: colour("--rule"), width: 1 }, ticks: { show: false } };
  const unit = signals[0].unit;
  return new uPlot(
    {
      width: Math.max(place.clientWidth, 200),
      height: 220,
      scales: { x: { time: false } },
      axes: [
        axis,
        {
          ...axis,
          size: 76,
          ...(unit === "bytes" ? { incrs: POWERS_OF_TWO } : {}),
          values: (_, ticks) => ticks.map((tick) => scaled(tick, unit)),
        },
      ],
      series: [
        { label: "cycle", value: (drawn, cycle) => (cycle ?? drawn.data[0].at(-1) ?? "–").toLocaleString("en") },
        ...signals.map((signal, position) => ({
          label: signal.title,
          stroke: colour(COLOURS[position % COLOURS.length]),
          width: 1.5,
          points: { show: false },
          spanGaps: true,
          // Where no cycle is pointed at, the newest reading.
          value: (drawn, value, column, at) => {
            const shown = at === null ? drawn.data[column].findLast((one) => one !== null) : value;
            return shown === null || shown === undefined ? "–" : scaled(shown, unit);
          },
        })),
      ],
    },
    [[], ...signals.map(() => [])],
    place,
  );
}

function section(name) {
  let found = byId(`component-${name}`);
  if (found) return found;
  found = document.createElement("section");
  found.id = `component-${name}`;
  const title = element("div", "", "title");
  title.append(element("h2", name), element("span", "", "badge"));
  found.append(title, element("p", "", "sentence"), element("p", "", "note"), element("div", "", "charts"));
  found.append(element("div", "", "causes"));
  byId("components").append(found);
  return found;
}

function showState(state) {
  byId("sentence").textContent = state.sentence;
  byId("state").textContent = state.state;
  byId("controls").textContent = state.controls;
  byId("log").textContent = state.log;
  byId("log-section").hidden = !state.log;
  for (const component of state.components) {
    const place = section(component.name);
    const badge = place.querySelector(".badge");
    badge.textContent = component.may_change ? `${component.verdict} so far` : component.verdict;
    badge.className = `badge ${component.verdict}`;
    place.querySelector(".sentence").textContent = component.sentence;
    place.querySelector(".note").textContent = component.progress;
    place.querySelector(".causes").replaceChildren(
      ...component.causes.map((cause) => element("p", cause.sentence, cause.confirmed ? "cause" : "cause suspected")),
    );
  }
}

function begin(component) {
  const place = section(component.name).querySelector(".charts");
  place.replaceChildren();
  charts.set(component.name, component.charts.map((signals) => {
    const figure = element("div", "", "chart");
    figure.append(element("p", "Change since the first reading, over the cycles", "note"));
    place.append(figure);
    return {
      place: figure,
      drawn: plot(figure, signals),
      names: signals.map((signal) => signal.name),
      first: {},
      data: [[], ...signals.map(() => [])],
    };
  }));
}

function append(component) {
  for (const chart of charts.get(component.name) ?? []) {
    for (const row of component.rows) {
      // What was asked for beside the stream comes by the stream too.
      if (row.cycle <= (chart.data[0].at(-1) ?? -1)) continue;
      chart.data[0].push(row.cycle);
      chart.names.forEach((name, position) => {
        const value = row[name] ?? null;
        if (value !== null && chart.first[name] === undefined) chart.first[name] = value;
        chart.data[position + 1].push(value === null ? null : value - chart.first[name]);
      });
    }
    if (chart.data[0].length > MOST_POINTS) chart.data = chart.data.map(halved);
    // Descriptors, threads and child processes mostly stay as they are; then there is nothing to see.
    chart.place.hidden = chart.names.includes("fds") && !chart.data.slice(1).some((values) => values.some(Boolean));
    if (component.rows.length && !chart.place.hidden) chart.drawn.setData(chart.data);
  }
}

// Keeps the lower of each two readings, as the server does; of cycles the later one. The newest one always stays.
function halved(values, column) {
  const kept = [];
  for (let at = 0; at + 1 < values.length; at += 2) {
    const [one, other] = [values[at], values[at + 1]];
    kept.push(column === 0 || one === null ? other : other === null ? one : Math.min(one, other));
  }
  if (values.length % 2) kept.push(values[values.length - 1]);
  return kept;
}

addEventListener("resize", () => {
  for (const chart of [...charts.values()].flat()) {
    chart.drawn.setSize({ width: Math.max(chart.place.clientWidth, 200), height: 220 });
  }
});

const QUIET_MS = 8000;
const FIRST_QUIET_MS = 3000;
const WATCH_EVERY_MS = 2000;
const LONGEST_ANSWER_MS = 20000;
let source = null;
let heardAt = Date.now();
let hasHeard = false;
let hasEnded = false;
let isAsking = false;

function alarm(text) {
  byId("connection").textContent = text;
  byId("connection").hidden = !text;
}

function showSeries(components) {
  for (const component of components) {
    begin(component);
    append(component);
  }
}

function end(why) {
  hasEnded = true;
  source.close();
  alarm(why ?? "");
}

// Every second the server sends something, if only that nothing is new.
function hear(act) {
  return (event) => {
    heardAt = Date.now();
    hasHeard = true;
    alarm("");
    act(JSON.parse(event.data));
  };
}

function listen() {
  source = new EventSource(`${location.pathname}/events`);
  source.addEventListener("state", hear(showState));
  source.addEventListener("series", hear(showSeries));
  source.addEventListener("readings", hear((components) => components.forEach(append)));
  source.addEventListener("beat", hear(() => {}));
  source.addEventListener("end", hear((last) => end(last.why)));
}

// A stream that is silent may be held back by a proxy, or have died while this computer slept. What is known now is
// asked for instead, as a whole, until the stream speaks again.
async function askInstead() {
  let answer;
  try {
    answer = await fetch(`${location.pathname}/now`, { signal: AbortSignal.timeout(LONGEST_ANSWER_MS) });
  } catch {
    alarm("The server does not answer. This page asks again every few seconds.");
    return;
  }
  if (answer.status === 403) {
    alarm("This address is no longer valid: the server was started again. Open the address that soak view has printed.");
  } else if (answer.status === 404) {
    alarm("This run is no longer in the folder that soak view shows.");
  } else if (answer.ok) {
    const known = await answer.json();
    showSeries(known.series);
    if (known.state) showState(known.state);
    if (known.has_ended) {
      end(known.why);
      return;
    }
    alarm("The stream of readings is interrupted; a proxy may buffer it. This page asks for the data every few seconds.");
    if (source.readyState === EventSource.CLOSED) listen();
  } else {
    alarm(`The server answers with error ${answer.status}. This page asks again every few seconds.`);
  }
}

async function watch() {
  if (hasEnded || isAsking || Date.now() - heardAt < (hasHeard ? QUIET_MS : FIRST_QUIET_MS)) return;
  isAsking = true;
  try {
    await askInstead();
  } finally {
    isAsking = false;
  }
}

listen();
setInterval(watch, WATCH_EVERY_MS);
