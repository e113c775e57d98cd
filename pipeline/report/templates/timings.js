function showTimings(runs) {
  if (!Array.isArray(runs) || !runs.length) return;
  const latest = new Map(runs.map((run) => [run.stage, run]));
  const body = document.querySelector("#timings tbody");
  for (const run of latest.values()) {
    const row = body.insertRow();
    const name = document.createElement("th");
    name.scope = "row";
    name.textContent = run.stage;
    row.append(name);
    for (const text of [Number(run.seconds).toFixed(1), Math.round(run.peak_mib), run.finished]) {
      row.insertCell().textContent = text;
    }
  }
  document.getElementById("timings").hidden = false;
}
