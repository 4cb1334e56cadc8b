/** The report's style sheet: light and dark by the reader's preference, one column on a phone. */

export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --text: #1b1f24; --dim: #5b6470; --line: #dfe3e8; --heat: #d9730d;
  --c0: #1f6feb; --c1: #d9480f; --c2: #2b8a3e; --c3: #9c36b5; --c4: #0b7285; --c5: #c2255c; --c6: #826a00; --c7: #5f3dc4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1216; --card: #181c22; --text: #e4e8ee; --dim: #97a1ae; --line: #2c333d; --heat: #e8590c;
    --c0: #5aa2ff; --c1: #ff9457; --c2: #5fd07a; --c3: #dd8bf2; --c4: #3fc9dc; --c5: #ff7ba6; --c6: #e0c341; --c7: #a78bfa;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 1240px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 14px; }
h2 { font-size: 19px; margin: 36px 0 12px; }
h3 { font-size: 15px; margin: 0; }
p { margin: 8px 0; max-width: 75ch; }
.dim, figcaption p { color: var(--dim); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; margin: 0 0 16px; }
.scroll { overflow-x: auto; }
table.plain { border-collapse: collapse; font-variant-numeric: tabular-nums; }
table.plain th, table.plain td { padding: 5px 16px 5px 0; text-align: left; vertical-align: top; }
table.plain tr > * + * { min-width: 96px; }
table.plain tr > :last-child { padding-right: 4px; }
table.plain .wrap { max-width: 46ch; }
.overview { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 16px; align-items: start; }
table.plain thead > tr > * { border-bottom: 1px solid var(--line); }
table.plain tbody th { font-weight: 400; color: var(--dim); white-space: nowrap; }
table.plain .number { text-align: right; white-space: nowrap; }
table.plain caption { text-align: left; font-weight: 600; padding-bottom: 6px; }
.swatch { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 7px; }
fieldset { border: 0; padding: 0; margin: 0 0 14px; display: flex; flex-wrap: wrap; gap: 6px 16px; align-items: center; }
fieldset legend { float: left; padding: 0; margin-right: 4px; color: var(--dim); }
label { cursor: pointer; }
input { accent-color: var(--c0); }
.charts { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px; }
.charts figure { margin: 0; min-width: 0; }
.charts figure.large { grid-column: 1 / -1; }
figcaption p { margin: 0 0 8px; font-size: 13px; }
.uplot { max-width: 100%; }
.u-legend { font-size: 12.5px; text-align: left !important; margin: 4px 0 0 !important; }
.u-legend .u-value { font-variant-numeric: tabular-nums; min-width: 4.5em; }
.u-legend .u-marker { width: 11px !important; height: 11px !important; border-radius: 3px; }
.u-legend .u-series:first-child .u-marker, .u-legend .u-series.faint { display: none; }
.u-select { background: color-mix(in srgb, var(--c0) 18%, transparent); }
.bars { display: grid; grid-template-columns: max-content 1fr; gap: 8px 12px; align-items: center; margin-bottom: 14px; }
.bar { display: flex; height: 22px; border-radius: 4px; overflow: hidden; min-width: 2px; }
.bar span { display: block; height: 100%; }
.heat { border-collapse: separate; border-spacing: 2px; font-size: 12.5px; font-variant-numeric: tabular-nums; }
.heat th { font-weight: 400; color: var(--dim); padding: 1px 5px; }
.heat th.group { border-bottom: 1px solid var(--line); color: var(--text); }
.heat td { text-align: right; padding: 2px 6px; border-radius: 3px; min-width: 42px; }
.heat .gap { min-width: 8px; padding: 0; }
.slider { display: flex; gap: 12px; align-items: center; flex-wrap: wrap; margin-bottom: 10px; }
.slider input { flex: 1 1 160px; max-width: 420px; }
.samples { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); gap: 16px; align-items: start; }
.overview .card { margin: 0; }
.overview table { width: 100%; }
blockquote { margin: 8px 0 0; white-space: pre-wrap; overflow-wrap: anywhere; font-family: Georgia, "Times New Roman", serif; }
details + details { margin-top: 8px; }
summary { cursor: pointer; }
pre { overflow-x: auto; font-size: 12.5px; }
footer { color: var(--dim); font-size: 13px; margin-top: 32px; }
@media (max-width: 820px) {
  main { padding: 16px 12px 48px; }
  h1 { font-size: 22px; }
  .charts { grid-template-columns: minmax(0, 1fr); }
  .card { padding: 12px; }
  table.plain tbody th { white-space: normal; }
  table.plain tr > * + * { min-width: 72px; }
}
@media print { .card { break-inside: avoid; } fieldset, .slider { display: none; } }
`;
