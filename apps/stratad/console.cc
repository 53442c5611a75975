// SPDX-License-Identifier: Apache-2.0
#include "stratad/console.h"

namespace strata::appliance {

std::string_view ConsolePage() {
  return R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Strata</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; margin: 0 0 .2rem; } h2 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
#state { opacity: .7; }
.bar { display: grid; grid-template-columns: 9rem 1fr 7rem; gap: .6rem; align-items: center; }
.bar i { display: block; height: .9rem; border-radius: .2rem; background: #3a7bd5; min-width: 2px; }
.bar b, td:nth-child(n+2), th:nth-child(n+2) { text-align: right; font-variant-numeric: tabular-nums; }
#ratio { font-size: 2.2rem; font-weight: 600; }
table { border-collapse: collapse; width: 100%; }
td, th { padding: .15rem .4rem; border-bottom: 1px solid #8884; font-weight: normal; text-align: left; }
th { opacity: .7; }
</style></head><body>
<h1>Strata</h1><div id="state">loading</div>
<h2>Reduction</h2><div><span id="ratio">-</span> <span id="parts"></span></div>
<div id="bars"></div>
<h2>Store</h2><table id="store"></table>
<h2>S3 requests since the start</h2>
<table><thead><tr><th>operation</th><th>requests</th><th>errors</th><th>mean ms</th><th>in</th><th>out</th></tr></thead>
<tbody id="operations"></tbody></table>
<script>
const size = n => { let i = 0; while (n >= 1024 && i < 5) { n /= 1024; i++; }
  return (i ? n.toFixed(1) : n) + ' ' + ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'][i]; };
const cell = (row, text) => { row.insertCell().textContent = text; };
const by = id => document.getElementById(id);
function show(status) {
  by('state').textContent = status.state + ' - version ' + status.version + ' - up ' +
      Math.floor(status.uptime_s / 60) + ' min';
  const s = status.store;
  if (!s) return;
  by('ratio').textContent = s.reduction_ratio.toFixed(2) + ' : 1';
  by('parts').textContent = 'deduplication ' + s.dedup_ratio.toFixed(2) + ', compression ' +
      s.compression_ratio.toFixed(2);
  const bars = [['logical', s.logical_bytes], ['unique', s.unique_bytes],
    ['compressed', s.compressed_bytes], ['on the device', s.container_bytes]];
  const most = Math.max(1, ...bars.map(b => b[1]));
  by('bars').replaceChildren(...bars.map(([name, bytes]) => {
    const bar = document.createElement('div'); bar.className = 'bar';
    const label = document.createElement('span'); label.textContent = name;
    const fill = document.createElement('i'); fill.style.width = 100 * bytes / most + '%';
    const value = document.createElement('b'); value.textContent = size(bytes);
    bar.append(label, fill, value); return bar; }));
  const table = by('store'); table.replaceChildren();
  const now = s.since_open;
  for (const [name, text] of [['device', s.device], ['streams', s.streams], ['chunks', s.chunks],
      ['containers', s.containers], ['metadata', size(s.metadata_bytes)],
      ['ingested since the start', size(now.ingested_bytes)], ['read', size(now.read_bytes)],
      ['duplicate', size(now.duplicate_bytes)],
      ['garbage collections', now.collections + (now.collecting ? ' (one is running)' : '')],
      ['damage met', now.corruptions_found]]) {
    const row = table.insertRow(); cell(row, name); cell(row, text); }
  const body = by('operations'); body.replaceChildren();
  for (const o of status.operations) {
    const row = body.insertRow();
    cell(row, o.operation); cell(row, o.requests); cell(row, o.errors);
    cell(row, o.mean_ms.toFixed(1)); cell(row, size(o.bytes_in)); cell(row, size(o.bytes_out)); }
}
async function poll() {
  try { show(await (await fetch('status.json')).json()); }
  catch (error) { by('state').textContent = 'stratad does not answer'; }
  setTimeout(poll, 3000);
}
poll();
</script></body></html>
)";
}

}  // namespace strata::appliance
