"""The page: one file with the picture, what it plays and tells, its style and its script; nothing is fetched.

A policy in the page forbids everything from outside, and every script and style but its own.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Any

from graphprop.given.arrays import keeps_warnings
from graphprop.notation.escaping import markup, script_json
from graphprop.render.drawn.svg import FITTING
from graphprop.render.numbers import Numbers
from graphprop.render.page.playback import Playback, nothing_told
from graphprop.render.picture import Parts

SUMMARY = "This is a summary: steps and explanations are of single nodes. Draw fewer of them, with focus= or top=."
NO_TRACE = "Only the structure is known: with a trace there are values and the steps of the forward pass."
SYMBOLS = "Some of the numbers are formulas: with numbers in their place there are steps and explanations."
NO_GRADIENTS = "No gradients were given: there are no steps of the backward pass."


@keeps_warnings
def write_page(drawn: dict[str, Any], svg: str, parts: Parts, numbers: Numbers | None) -> str:
    """The page of a drawing, from what `Drawing.to_dict` says, its SVG, its parts, and the numbers behind them."""
    data: dict[str, Any] = {"prefix": drawn["prefix"], "by_weights": numbers is not None and numbers.by_weights}
    data["nodes"] = [{key: node[key] for key in ("id", "name", "kind", "tooltip", "middle")} for node in drawn["nodes"]]
    data["edges"] = [{key: edge[key] for key in ("id", "source", "target")} for edge in drawn["edges"]]
    if numbers is None or parts.detail == "groups":
        told = nothing_told() | {"notes": [SUMMARY]}
    elif numbers.has_formulas:
        told = nothing_told() | {"notes": [SYMBOLS]}
    else:
        told = Playback(parts, numbers).data()
        if numbers.trace is None:
            told["notes"].insert(0, NO_TRACE)
        elif numbers.gradients is None:
            told["notes"].insert(0, NO_GRADIENTS)
    folder = files("graphprop.render.page")
    frame, style, script = (folder.joinpath(f"page.{kind}").read_text("utf-8") for kind in ("html", "css", "js"))
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return frame.format(
        policy=policy,
        title=markup(parts.title or "network"),
        heading=f"<h1>{markup(parts.title)}</h1>\n" if parts.title else "",
        subtitle=markup(" · ".join(text for text in (parts.subtitle, *drawn["notes"]) if text)),
        style=style,
        svg=svg.replace(FITTING, "", 1),  # the style of the page says how large it is
        data=script_json(data | told),
        script=script,
    )


def _digest(text: str) -> str:
    """By what a policy knows a script or a style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
