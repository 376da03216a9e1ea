"""The page: one file with the picture, what it plays and tells, its style and its script; nothing is fetched.

A policy in the page forbids everything from outside, and every script and style but its own.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Any

from graphprop.render.escaping import markup, script_json
from graphprop.render.numbers import Numbers
from graphprop.render.parts import Parts
from graphprop.render.playback import Playback, nothing_told

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#stepper">Skip to the steps</a>
<header>
<h1>{title}</h1>
<p id="subtitle">{subtitle}</p>
<div class="tools">
<div class="search">
<input id="search" type="search" role="combobox" aria-label="Find a node" aria-expanded="false" aria-controls="found"
 aria-autocomplete="list" autocomplete="off" spellcheck="false" placeholder="Find a node  /">
<ul id="found" role="listbox" aria-label="Nodes found" hidden></ul>
</div>
<button id="theme" type="button" aria-pressed="false">Dark</button>
</div>
</header>
<main>
<section id="diagram" aria-label="Diagram">
<div id="view">{svg}</div>
<div class="zoom" role="group" aria-label="Zoom">
<button id="closer" type="button" aria-label="Zoom in" title="Zoom in  +">+</button>
<button id="farther" type="button" aria-label="Zoom out" title="Zoom out  −">−</button>
<button id="fit" type="button" aria-label="Fit the whole diagram" title="Fit  0">Fit</button>
</div>
</section>
<section id="stepper" aria-label="Steps" tabindex="-1">
<div class="buttons" role="group" aria-label="Play">
<button id="first" type="button" aria-label="Whole picture" title="Whole picture  Home"><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M5 5v14 M19 5L8 12l11 7z"/></svg></button>
<button id="back" type="button" aria-label="Step back" title="Step back  ←"><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M17 5L6 12l11 7z"/></svg></button>
<button id="play" type="button" aria-label="Play" title="Play  Space"><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M7 4l12 8-12 8z"/></svg></button>
<button id="next" type="button" aria-label="Next step" title="Next step  →"><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M7 5l11 7-11 7z"/></svg></button>
<button id="last" type="button" aria-label="Last step" title="Last step  End"><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M19 5v14 M5 5l11 7-11 7z"/></svg></button>
</div>
<input id="slider" type="range" min="0" max="0" value="0" step="1" aria-label="Step">
<output id="where" for="slider"></output>
<label class="speed">Speed
<select id="speed"><option value="2400">slow</option><option value="1300" selected>normal</option>
<option value="500">fast</option></select></label>
</section>
<div id="side">
<section id="step" aria-label="The current step"></section>
<section id="told" aria-label="The chosen node or edge" tabindex="-1" hidden></section>
</div>
</main>
<footer>
<details><summary>Keys</summary><dl>
<div><dt>→ ←</dt><dd>next step, step back</dd></div>
<div><dt>Space</dt><dd>play, pause</dd></div>
<div><dt>Home End</dt><dd>whole picture, last step</dd></div>
<div><dt>Tab, Enter</dt><dd>go to a node, choose it</dd></div>
<div><dt>/</dt><dd>find a node</dd></div>
<div><dt>+ − 0</dt><dd>zoom in, out, fit</dd></div>
<div><dt>Shift and arrows</dt><dd>move the diagram</dd></div>
<div><dt>Esc</dt><dd>choose nothing</dd></div>
<div><dt>d</dt><dd>dark or light</dd></div>
</dl></details>
<div id="notes"></div>
</footer>
<p id="live" class="unseen" role="status" aria-live="polite"></p>
<noscript>The steps and explanations of this page need JavaScript; the picture does not.</noscript>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""
SUMMARY = "This is a summary: steps and explanations are of single nodes. Draw fewer of them, with focus= or top=."
NO_TRACE = "Only the structure is known: with a trace there are values and the steps of the forward pass."
NO_GRADIENTS = "No gradients were given: there are no steps of the backward pass."


def write_page(drawn: dict[str, Any], svg: str, parts: Parts, numbers: Numbers | None) -> str:
    """The page of a drawing, from what `Drawing.to_dict` says, its SVG, its parts, and the numbers behind them."""
    data: dict[str, Any] = {"prefix": drawn["prefix"], "by_weights": numbers is not None and numbers.by_weights}
    data["nodes"] = [{key: node[key] for key in ("id", "name", "kind", "tooltip", "middle")} for node in drawn["nodes"]]
    data["edges"] = [{key: edge[key] for key in ("id", "source", "target")} for edge in drawn["edges"]]
    if numbers is None or parts.detail == "groups":
        told = nothing_told() | {"notes": [SUMMARY]}
    else:
        told = Playback(parts, numbers).data()
        if numbers.trace is None:
            told["notes"].insert(0, NO_TRACE)
        elif numbers.gradients is None:
            told["notes"].insert(0, NO_GRADIENTS)
    style, script = (files("graphprop.render").joinpath(f"page.{kind}").read_text("utf-8") for kind in ("css", "js"))
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return PAGE.format(
        policy=policy,
        title=markup(parts.title),
        subtitle=markup(" · ".join(text for text in (parts.subtitle, *drawn["notes"]) if text)),
        style=style,
        svg=svg,
        data=script_json(data | told),
        script=script,
    )


def _digest(text: str) -> str:
    """By what a policy knows a script or a style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
