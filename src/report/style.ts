// The report's style sheet: light and dark through variables, and a sheet of paper when printed; depends on nothing.

export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #f6f5f0; --surface: #fffefb; --ink: #1b211e; --muted: #5f6963; --line: #dedcd2;
  --accepted: #14735a; --refused: #b2432a; --original: #33383a; --narrow: #3f66a3; --tint: #e7efe9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #111413; --surface: #191d1b; --ink: #e9ece7; --muted: #9ba69f; --line: #303733;
    --accepted: #5ecb9f; --refused: #ec8d70; --original: #d3d8d4; --narrow: #8fb3ea; --tint: #1d2a24;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 ui-sans-serif, system-ui, "Segoe UI", "Helvetica Neue", Arial, "Noto Sans CJK SC", sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 1120px; margin: 0 auto; padding: 48px 28px 64px; }
h1 { font-size: 1rem; font-weight: 600; letter-spacing: .02em; color: var(--muted); margin: 0 0 1.4rem; overflow-wrap: anywhere; }
.verdict { font-size: clamp(1.5rem, 3.2vw, 2.2rem); line-height: 1.25; font-weight: 600; letter-spacing: -.015em; margin: 0 0 .8rem; max-width: 27em; text-wrap: balance; }
.verdict::before { content: ""; display: block; width: 44px; height: 5px; margin-bottom: 18px; background: var(--accepted); }
.verdict.lost::before { background: var(--refused); }
h2 { font-size: 1.2rem; letter-spacing: -.01em; margin: 56px 0 14px; }
h3 { font-size: .95rem; margin: 0 0 8px; }
p { margin: 0 0 .8rem; max-width: 46em; } p.after { margin-top: 1.4rem; }
.quiet { color: var(--muted); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; align-items: center; color: var(--muted); font-size: .85rem; margin: 14px 0 0; padding: 0; list-style: none; }
.mark { width: .82em; height: .82em; vertical-align: -.06em; margin-right: .35em; flex: none; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(230px, 1fr)); gap: 14px; margin: 32px 0 0; }
.card { background: var(--surface); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px 14px; }
.card h3 { font-weight: 500; font-size: .87rem; color: var(--muted); margin: 0 0 6px; }
.card .number { font-size: 2rem; font-weight: 600; letter-spacing: -.02em; line-height: 1.1; white-space: nowrap; }
.card .unit { font-size: 1rem; font-weight: 500; color: var(--muted); margin-left: .25em; letter-spacing: 0; }
.card .comparison { margin: 6px 0 10px; font-size: .87rem; }
.card > svg { display: block; width: 100%; height: auto; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 10px; background: var(--surface); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { padding: 8px 14px; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
tbody tr:last-child > * { border-bottom: 0; }
thead th { font-size: .82rem; color: var(--muted); font-weight: 500; vertical-align: bottom; }
tbody th { font-weight: 500; }
td.number, th.number { text-align: right; white-space: nowrap; }
.chosen > * { background: var(--tint); }
.tag { white-space: nowrap; font-weight: 600; }
.tag.accepted { color: var(--accepted); } .tag.refused { color: var(--refused); }
.reasons { margin: 0; padding: 0 0 0 1.1em; columns: 2 26em; column-gap: 34px; font-size: .85rem; color: var(--muted); overflow-wrap: anywhere; }
.reasons li { break-inside: avoid; }
tr.head > * { border-bottom: 0; padding-bottom: 2px; } tr.why td { padding-top: 0; }
thead th.number { white-space: normal; max-width: 17em; } tbody th { min-width: 10em; }
.interval { display: block; color: var(--muted); font-size: .82rem; }
figure { margin: 0 0 14px; background: var(--surface); border: 1px solid var(--line); border-radius: 10px; padding: 16px 18px 10px; min-width: 0; }
figure > svg { display: block; width: 100%; height: auto; }
figcaption { font-weight: 600; font-size: .95rem; margin-bottom: 8px; }
details { font-size: .85rem; margin: 6px 0 4px; }
summary { cursor: pointer; color: var(--muted); }
details table { margin-top: 6px; font-size: .82rem; } details th, details td { padding: 4px 10px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 6px 20px; margin: 0; font-size: .9rem; }
dt { color: var(--muted); } dd { margin: 0; overflow-wrap: anywhere; min-width: 0; }
code { font: .86em/1.4 ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
footer { margin-top: 56px; padding-top: 16px; border-top: 1px solid var(--line); color: var(--muted); font-size: .85rem; }
@media (max-width: 620px) { main { padding: 28px 16px 40px; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 8px; } }
@media print {
  :root {
    color-scheme: light;
    --paper: #fff; --surface: #fff; --ink: #000; --muted: #444; --line: #bbb;
    --accepted: #0c5c46; --refused: #94351f; --original: #222; --narrow: #2c4f87; --tint: #eee;
  }
  body { font-size: 10.5pt; } main { max-width: none; padding: 0; }
  h2 { margin-top: 26pt; break-after: avoid; } figure, .card, tr { break-inside: avoid; }
  .scroll { overflow: visible; } td.number, th.number { white-space: normal; } .cards { grid-template-columns: repeat(2, 1fr); }
  details:not([open]) { display: none; }
}
`;
