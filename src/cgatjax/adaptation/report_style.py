"""Style sheet of the report: light and dark, from a phone to a wide screen."""

STYLE = """
:root { --ink: #1c2430; --paper: #ffffff; --soft: #f3f5f8; --line: #d8dde5; --faint: #5a6675;
        --mark: #fff1dd; --good: #2e7d4f; --warn: #b3471d; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --paper: #14181e; --soft: #1e242d; --line: #343d4a; --faint: #9aa6b5;
          --mark: #3a2f1c; --good: #6cc48f; --warn: #f09a6e; } }
* { box-sizing: border-box; }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 54rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; margin: 0.5rem 0; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 0.6rem; padding-bottom: 0.2rem;
     border-bottom: 1px solid var(--line); }
.verdict { font-size: 1.1rem; }
.tiles { display: grid; gap: 0.7rem;
         grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); }
.tile { background: var(--soft); border-radius: 0.5rem; padding: 0.7rem 0.9rem; }
.tile span, .tile small { display: block; color: var(--faint); font-size: 0.85rem; }
.tile b { font-size: 1.35rem; } .tile b i { font-size: 0.9rem; font-style: normal; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; margin: 0.6rem 0; }
th, td { padding: 0.3rem 0.6rem; text-align: right; border-bottom: 1px solid var(--line);
         vertical-align: top; }
th { font-weight: 600; color: var(--faint); }
th:first-child, td:first-child { text-align: left; min-width: 9rem; }
tr.chosen td { background: var(--mark); font-weight: 600; }
tr.simple td:first-child::after { content: " (simple)"; color: var(--faint); font-weight: 400; }
.checks { list-style: none; padding: 0; }
.checks li { padding: 0.2rem 0 0.2rem 1.8rem; position: relative; }
.checks span { position: absolute; left: 0.2rem; font-weight: 700; color: var(--faint); }
.checks .ok span { color: var(--good); } .checks .warning span { color: var(--warn); }
figure { margin: 0.8rem 0; } figure svg { display: block; width: 100%; height: auto;
         max-width: 40rem; }
figure.plain { background: #ffffff; border-radius: 0.4rem; overflow-x: auto; }
figure.plain svg { min-width: 38rem; max-width: none; }
figcaption { color: var(--faint); font-size: 0.88rem; }
pre { background: var(--soft); padding: 0.7rem; border-radius: 0.4rem; overflow-x: auto;
      font-size: 0.85rem; }
code { background: var(--soft); padding: 0.05rem 0.3rem; border-radius: 0.2rem; }
small, footer { color: var(--faint); } footer { margin: 2rem 0 1rem; font-size: 0.85rem; }
"""
"""Style sheet."""
