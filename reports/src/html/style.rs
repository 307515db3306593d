//! The page's style sheet: light and dark as the reader's system has it, wide and narrow.

use super::palette;

/// Everything but the colours of charts.
const RULES: &str = "
:root{--page:#f9f9f7;--card:#fff;--ink:#16160f;--soft:#5c5b57;--line:#e4e3df;
--pass:#137a3a;--fail:#b3261e;--unclear:#8a5a00;--pass-back:#e3f4e8;--fail-back:#fbe6e4;--unclear-back:#fdf0d5}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
main{max-width:1180px;margin:0 auto;padding:24px 16px 48px}
h1{font-size:24px;line-height:1.25;margin:0 0 8px}
h2{font-size:17px;margin:0 0 4px}
p{margin:0 0 12px}
section,header{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px;margin:0 0 16px}
.soft,caption,figcaption{color:var(--soft);font-size:13px}
.badge{display:inline-block;padding:2px 12px;border-radius:99px;font-weight:700;font-size:14px;margin:0 6px 6px 0}
.pass{color:var(--pass)}.fail{color:var(--fail)}.inconclusive{color:var(--unclear)}
.badge.pass{background:var(--pass-back)}.badge.fail{background:var(--fail-back)}
.badge.inconclusive{background:var(--unclear-back)}
.notice{border-left:4px solid var(--unclear);background:var(--unclear-back);padding:8px 12px;margin:8px 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:12px;margin:12px 0 0}
.tiles div{border:1px solid var(--line);border-radius:8px;padding:8px 12px}
.tiles b{display:block;font-size:19px;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;vertical-align:top;padding:5px 12px 5px 0;border-bottom:1px solid var(--line)}
th{font-weight:600;color:var(--soft);font-size:13px;white-space:nowrap;overflow-wrap:normal}
tr:last-child>td,tr:last-child>th{border-bottom:0}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.scroll{overflow-x:auto}.scroll td{overflow-wrap:normal}.scroll td:first-child{min-width:150px}
figure{margin:0 0 4px}
svg{display:block;max-width:100%;height:auto}
.narrow{display:none}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;font-size:13px;color:var(--soft);margin:4px 0 8px;padding:0;list-style:none}
.legend i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:6px;vertical-align:-1px}
details{margin:4px 0}summary{cursor:pointer;color:var(--soft)}
pre{white-space:pre-wrap;font:12.5px/1.45 ui-monospace,monospace;margin:8px 0 0}
code{font:13px ui-monospace,monospace}
.story{margin:6px 0 6px 8px;font-size:13px}.story td{border:0;padding:1px 12px 1px 0}
ul{margin:0;padding-left:20px}
@media (max-width:760px){main{padding:8px 8px 32px}section,header{padding:12px}.wide{display:none}.narrow{display:block}
th,td{padding-right:8px}table{font-size:13px}h1{font-size:20px}
.stack thead{display:none}.stack tr{display:block;border-bottom:1px solid var(--line);padding:4px 0}
.stack td,.stack th{display:block;border:0;padding:1px 0;text-align:left;white-space:normal}
.stack td[data-label]::before{content:attr(data-label) ' ';color:var(--soft);font-size:12px}}
@media print{section,header{break-inside:avoid}}
";

/// The colours of the dark page.
const DARK: &str = ":root{--page:#121211;--card:#1b1b19;--ink:#eceae3;--soft:#a8a7a0;--line:#333330;\
--pass:#6fd08c;--fail:#ff8f86;--unclear:#f0c060;--pass-back:#173322;--fail-back:#451f1c;--unclear-back:#3b2f14}";

/// The whole style sheet.
pub(super) fn sheet() -> String {
    let (light, dark) = (palette::swatch_rules(false), palette::swatch_rules(true));
    let charts = palette::dark_rules();
    format!("{RULES}{light}\n@media (prefers-color-scheme:dark){{{DARK}{dark}{charts}}}")
}
