"""The style sheet of ``report.html``: light and dark by the reader's setting, light on paper."""

from __future__ import annotations

from soak.reporting.figures.palette import figure_css

_PAGE = """
:root{color-scheme:light dark;--paper:#fff;--card:#f6f7f9;--ink:#1c2126;--muted:#5a636c;--rule:#d8dce1;--link:#0b5cad;
--leak:#b03a00;--clean:#00705a;--settling:#0068a3;--inconclusive:#7a5b00;--failed:#94276b;--on:#fff}
@media screen and (prefers-color-scheme:dark){:root{--paper:#14181c;--card:#1c2126;--ink:#e6e8eb;--muted:#9aa3ad;
--rule:#343b43;--link:#79b8ff;--leak:#ff8c42;--clean:#2fc79a;--settling:#67bdf0;--inconclusive:#e6b422;--failed:#ef8cc5;
--on:#14181c}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif}
main{max-width:66rem;margin:0 auto;padding:2rem 1.5rem 4rem}
h1{font-size:1.9rem;line-height:1.25;margin:.4rem 0 1.4rem;font-weight:650;letter-spacing:-.01em;text-wrap:pretty}
h1::first-letter{text-transform:uppercase}
h2{font-size:1.3rem;margin:0;line-height:1.3}
h3{font-size:1rem;margin:1.4rem 0 .4rem}
p{margin:.5rem 0;max-width:52rem;overflow-wrap:anywhere}
a{color:var(--link)}
.about,.note{color:var(--muted);font-size:.9rem}
.about{margin:0}
.lead{font-size:1.1rem;text-wrap:pretty}
.lead::first-letter{text-transform:uppercase}
.alarm{border-left:.4rem solid var(--leak);background:var(--card);padding:.7rem 1rem;font-weight:600;margin:0 0 1rem}
section{border-top:1px solid var(--rule);margin-top:2.2rem;padding-top:1.4rem}
.title{display:flex;gap:.8rem;align-items:center;flex-wrap:wrap}
.badge{display:inline-block;white-space:nowrap;border-radius:.3rem;padding:.05rem .55rem;font-size:.82rem;
font-weight:700;letter-spacing:.03em;color:var(--on);background:var(--colour)}
.badge b{display:inline-block;width:1.15em;font-weight:700}
.LEAK{--colour:var(--leak)}.CLEAN{--colour:var(--clean)}.SETTLING{--colour:var(--settling)}
.INCONCLUSIVE{--colour:var(--inconclusive)}.FAILED{--colour:var(--failed)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem;font-variant-numeric:tabular-nums}
th{text-align:left;font-weight:600;color:var(--muted);font-size:.82rem;white-space:nowrap}
th,td{padding:.36rem .9rem .36rem 0;border-bottom:1px solid var(--rule);vertical-align:top}
tr:last-child td{border-bottom:0}
td.number,th.number{text-align:right}
td.number{white-space:nowrap}
tr.noted td{border-bottom:0;padding-bottom:0}
td.note{padding-top:.05rem}
figure{margin:1.1rem 0;overflow-x:auto}
.soak-figure{display:block;width:100%;height:auto}
.cause{background:var(--card);border-left:.3rem solid var(--leak);padding:.7rem 1rem;margin:.7rem 0;
border-radius:0 .3rem .3rem 0}
.cause.suspected{border-left-color:var(--inconclusive)}
.cause p:first-child{margin-top:0}
pre{background:var(--card);padding:.7rem 1rem;margin:.5rem 0;border-radius:.3rem;font-size:.82rem;line-height:1.45;
overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
.cause pre{background:var(--paper)}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
code{font-size:.88em;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.25rem 1.4rem;margin:.5rem 0;font-size:.92rem}
dt{color:var(--muted)}dd{margin:0;overflow-wrap:anywhere}
dd.wide{grid-column:1/-1;overflow-wrap:normal}dd.wide td{white-space:nowrap}
details{margin-top:.8rem}summary{cursor:pointer;color:var(--link)}
pre b{font-weight:700}
@media screen and (max-width:40rem){main{padding:1.2rem 1rem 3rem}h1{font-size:1.45rem}.minor{display:none}
th,td{padding-right:.6rem}.soak-figure{width:46rem;max-width:none}.cause,pre{padding:.6rem .7rem}
dl{grid-template-columns:minmax(0,1fr)}dt{margin-top:.4rem}}
@media print{body{font-size:10pt}main{max-width:none;padding:0}h1{font-size:16pt}h2,h3,.title{break-after:avoid}
section{margin-top:1.2rem;padding-top:.8rem}figure,pre,tr,.title{break-inside:avoid}
.lead{break-before:avoid}.noted{break-after:avoid}.scroll,figure{overflow:visible}dd.wide td{white-space:normal}
.badge{print-color-adjust:exact;-webkit-print-color-adjust:exact}
svg{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.measured:not([open]){display:none}summary{list-style:none;color:var(--muted)}
a{color:inherit;text-decoration:none}}
"""


def page_css() -> str:
    """Give the whole style sheet of the page, figures included."""
    return _PAGE.strip() + figure_css()
