"""The status page: the document of `status.py` for people, without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

STYLE: Final = """
:root { color-scheme: light dark; --back: #eef0f2; --surface: #fff; --text: #1f2933;
  --soft: #5b6670; --line: #d5dade; --accent: #2f6fab; --bad: #b3261e; --warn: #8a5300; }
@media (prefers-color-scheme: dark) { :root { --back: #15181c; --surface: #1d2126;
  --text: #e6e9ec; --soft: #a3abb3; --line: #343a41; --accent: #7fb2e0; --bad: #ff8a80;
  --warn: #f2b45c; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 16px; background: var(--back); color: var(--text);
  font: 14px/1.45 Inter, system-ui, sans-serif; font-variant-numeric: tabular-nums; }
header { display: flex; flex-wrap: wrap; gap: 4px 16px; align-items: baseline; }
h1 { font-size: 20px; margin: 0; } h2 { font-size: 1em; margin: 0 0 8px; }
main { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(232px, 1fr));
  margin-top: 12px; }
section { background: var(--surface); border: 1px solid var(--line); border-radius: 6px;
  padding: 12px; overflow-x: auto; }
section.wide { grid-column: 1 / -1; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 16px; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 4px 16px 4px 0; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
td:last-child { white-space: normal; min-width: 12em; overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: 500; }
.bad { color: var(--bad); } .warn { color: var(--warn); } p { margin: 0; color: var(--soft); }
label { color: var(--soft); margin-left: auto; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
@media (max-width: 600px) { body { font-size: 16px; } }
"""
# Fetches the page again and puts its contents in place, unless somebody reads.
SCRIPT: Final = """
const hold = document.getElementById('hold');
const note = document.getElementById('note');
setInterval(async () => {
  if (hold.checked) return;
  try {
    const page = new DOMParser().parseFromString(await (await fetch('/')).text(), 'text/html');
    document.querySelector('main').replaceWith(page.querySelector('main'));
    document.title = page.title;
    note.textContent = page.getElementById('note').textContent;
  } catch { note.textContent = 'the agent does not answer'; }
}, 5000);
"""


def render(document: Mapping[str, Any]) -> str:
    """Return the page of a status document."""
    name = f"{document['site']} / {document['edge_node']}"
    mark = "" if document["broker"]["connected"] else "▲ "
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{mark}{escape(name)}</title><style>{STYLE}</style></head><body>"
        f"<header><h1>{escape(name)}</h1>"
        f"<span>Headrace edge agent {escape(document['version'])}</span>"
        f'<span id="note">as of {_time(document["time"])}</span>'
        '<label><input type="checkbox" id="hold"> hold still</label></header>'
        f"<main>{''.join(_sections(document))}</main><script>{SCRIPT}</script></body></html>"
    )


def _sections(document: Mapping[str, Any]) -> Sequence[str]:
    return [
        _facts("Broker", _broker(document)),
        _facts("Spool", _spool(document["spool"])),
        _facts("Certificate", _certificate(document["certificate"])),
        _facts("Updates", _updates(document)),
        _facts("Gateway", _gateway(document)),
        _table(
            "Devices",
            ("device", "class", "state", "last block", "score", "model"),
            [_device(device) for device in document["devices"]],
            "No driver has declared a device.",
        ),
        _table(
            "Models",
            ("class", "version", "from", "on trial", "refused"),
            [_model(model) for model in document["models"]],
            "No device has a class.",
        ),
        _table(
            "Last troubles",
            ("time", "level", "what", "reason"),
            [_trouble(trouble) for trouble in document["troubles"]],
            "Nothing was warned of since the start.",
        ),
    ]


def _trouble(trouble: Mapping[str, str]) -> Sequence[str]:
    mark = "◆ " if trouble["level"] == "warning" else "▲ "
    return [
        _time(trouble["time"]),
        mark + escape(trouble["level"]),
        escape(trouble["event"]),
        escape(trouble["reason"]) or "–",
    ]


def _broker(document: Mapping[str, Any]) -> Mapping[str, str]:
    broker = document["broker"]
    state = (
        "● connected"
        if broker["connected"]
        else _bad("▲ not connected; readings wait in the spool")
    )
    return {
        "state": state,
        "address": escape(f"{broker['host']}:{broker['port']}"),
        "connection": "TLS" if broker["tls"] else "without TLS",
    }


def _spool(spool: Mapping[str, Any]) -> Mapping[str, str]:
    dropped = str(spool["dropped"])
    return {
        "waiting": f"{spool['depth']} batches, {_size(spool['bytes'])}"
        f" of {_size(spool['max_bytes'])}",
        "of them published": str(spool["in_flight"]),
        "sent": str(spool["sent"]),
        "acknowledged": str(spool["acknowledged"]),
        "sent again": str(spool["resent"]),
        "dropped": _bad(f"▲ {dropped}") if spool["dropped"] else dropped,
    }


def _certificate(certificate: Mapping[str, Any] | None) -> Mapping[str, str]:
    if certificate is None:
        return {"state": "none; enrol with <code>headrace edge enrol</code>"}
    days = certificate["days_left"]
    left = f"{days:.1f} days left"
    return {
        "state": _bad("▲ ended") if days <= 0 else "● good",
        "ends": f"{_time(certificate['not_after'])}, {left}",
        "serial": escape(certificate["serial"]),
    }


def _updates(document: Mapping[str, Any]) -> Mapping[str, str]:
    updates, configuration = document["updates"], document["configuration"]
    if not updates["server"]:
        state = "off; set <code>[updates] server</code>"
        return {"state": state, "configuration": "the local file"}
    last = updates["last_check"]
    result = "not yet" if last is None else f"{last['result']}, {_time(last['time'])}"
    facts = {"server": escape(updates["server"]), "last check": escape(result)}
    if last is not None and last["reason"]:
        facts["reason"] = f'<span class="warn">◆ {escape(last["reason"])}</span>'
    name = configuration["name"]
    version = configuration["version"] or "none yet"
    trial = ", on trial" if configuration["on_trial"] else ""
    facts["configuration"] = escape(f"{name} {version}{trial}") if name else "the local file"
    if (refused := configuration["refused"]) is not None:
        said = f"◆ {refused['version']}: {refused['reason']}"
        facts["refused"] = f'<span class="warn">{escape(said)}</span>'
    return facts


def _gateway(document: Mapping[str, Any]) -> Mapping[str, str]:
    vitals, skew = document["vitals"], document["clock_skew_s"]
    known = {
        "agent's memory": _size(vitals["memory_bytes"]),
        "agent's processor": _number(vitals["cpu"], 100, "% of a core"),
        "disk free": f"{_size(vitals['disk_free_bytes'])} of {_size(vitals['disk_bytes'])}",
        "temperature": _number(vitals["temperature_c"], 1, "°C"),
        "clock ahead": _number(skew, 1, "s"),
        "up for": _number(vitals["uptime_s"], 1 / 3600, "h"),
        "log level": escape(document["log_level"]),
    }
    return known


def _device(device: Mapping[str, Any]) -> Sequence[str]:
    if device["lost"]:
        state = _bad(f"▲ lost: {device['lost']}")
    elif device["age_s"] is None:
        state = "◆ nothing yet"
    else:
        state = "● reads"
    score = device["score"]
    shown = "–" if score is None else f"{score:.2f} of limit 1"
    return [
        escape(device["tag"]),
        escape(device["equipment_class"]),
        state,
        "–" if device["age_s"] is None else _number(device["age_s"], 1, "s ago"),
        _bad(f"▲ {shown}") if score is not None and score > 1 else shown,
        escape(device["model"]) or "–",
    ]


def _model(model: Mapping[str, Any]) -> Sequence[str]:
    trial, refused = model["trial"], model["refused"]
    seen = f"{trial['version']}, {trial['windows']} of {trial['of']} windows" if trial else "–"
    return [
        escape(model["equipment_class"]),
        escape(model["version"]) or "–",
        escape(model["source"]) or "no model",
        escape(seen),
        escape(f"{refused['version']}: {refused['reason']}") if refused else "–",
    ]


def _facts(title: str, facts: Mapping[str, str]) -> str:
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())
    return f"<section><h2>{title}</h2><dl>{rows}</dl></section>"


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> str:
    if not rows:
        return f'<section class="wide"><h2>{title}</h2><p>{empty}</p></section>'
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        # To be scrolled by keys on a narrow screen.
        f'<section class="wide" tabindex="0" aria-label="{title}"><h2>{title}</h2>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></section>"
    )


def _bad(text: str) -> str:
    return f'<span class="bad">{escape(text)}</span>'


def _time(iso: str) -> str:
    """Return a moment of UTC to the second for people; what is none stays as it is."""
    try:
        moment = datetime.fromisoformat(iso).astimezone(UTC)
    except ValueError:
        return escape(iso)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _number(value: float | None, factor: float, unit: str) -> str:
    return "unknown" if value is None else f"{value * factor:.1f} {unit}"


def _size(count: float | None) -> str:
    if count is None:
        return "unknown"
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
