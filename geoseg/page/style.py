"""How the page looks, on paper white and in the dark, on a wide screen and on a phone."""

CSS = """
:root {
  --ground: #ffffff; --ink: #1c2126; --pale: #59636e; --line: #d4d9de; --raised: #f4f6f8; --link: #0a5cad;
  --share: 0, 114, 178;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #15191d; --ink: #e6e9ec; --pale: #a3adb8; --line: #3a434c; --raised: #1f252b; --link: #7cb8f2;
    --share: 86, 180, 233;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 68rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
h1 { font-size: 1.8rem; line-height: 1.2; margin: 0 0 0.75rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 0.75rem; padding-top: 0.75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.5rem 0 0.5rem; }
p { max-width: 46rem; margin: 0.5rem 0; overflow-wrap: anywhere; }
a { color: var(--link); }
nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1.1rem; margin: 0; padding: 0; list-style: none; }
li { overflow-wrap: anywhere; }
.facts { display: flex; flex-wrap: wrap; gap: 0.75rem; margin: 1.25rem 0; padding: 0; list-style: none; }
.facts li {
  flex: 1 1 9rem; padding: 0.6rem 0.9rem; border: 1px solid var(--line); border-radius: 0.5rem;
  background: var(--raised);
}
.facts strong { display: block; font-size: 1.35rem; line-height: 1.3; }
.facts span { color: var(--pale); font-size: 0.9rem; }
.scroll { overflow-x: auto; margin: 1rem 0; }
.scroll:focus-visible, a:focus-visible, summary:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; font-size: 0.92rem; min-width: min(100%, 24rem); }
caption { text-align: left; color: var(--pale); padding-bottom: 0.35rem; }
th, td { padding: 0.3rem 0.75rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { border-bottom-width: 2px; background: var(--raised); }
tbody th { font-weight: 600; }
td, th { max-width: 26rem; overflow-wrap: break-word; }
.path { display: inline-block; min-width: 14rem; overflow-wrap: anywhere; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td { position: relative; isolation: isolate; }
.share::before { content: ""; position: absolute; inset: 0; z-index: -1; background: rgba(var(--share), var(--part)); }
.swatch {
  display: inline-block; width: 1em; height: 1em; margin-right: 0.5em; vertical-align: -0.12em;
  border: 1px solid var(--pale); border-radius: 0.2em;
}
figure { margin: 1rem 0; }
figure img {
  display: block; max-width: 100%; min-width: min(var(--own), 40rem); height: auto; padding: 0.5rem; background: #ffffff;
  border: 1px solid var(--line); border-radius: 0.5rem;
}
figure .scroll { margin: 0; }
figcaption { color: var(--pale); font-size: 0.92rem; margin-top: 0.4rem; max-width: 46rem; overflow-wrap: anywhere; }
.notes { padding: 0.75rem 1rem; border-left: 4px solid #d55e00; background: var(--raised); }
.notes ul { margin: 0; padding-left: 1.25rem; }
details { margin: 1rem 0; }
summary { cursor: pointer; color: var(--link); }
@media print { nav { display: none; } details { display: none; } }
"""
