"""Renders templates as transformers does: lines of {"source", "vars"} to lines of {"out"} or {"err"}."""
import datetime
import functools
import json
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(jinja2.ext.Extension):
    """{% generation %} marks what a model is trained on; it changes nothing here."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.Scope(body).set_lineno(line)


def refuse(message):
    raise jinja2.exceptions.TemplateError(message)


def dumps(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
env.filters["tojson"] = dumps
env.globals["raise_exception"] = refuse
compiled = functools.cache(env.from_string)
for line in sys.stdin:
    job = json.loads(line)
    env.globals["strftime_now"] = lambda f: datetime.datetime(2026, 3, 5, 14, 7, 9).strftime(f)
    try:
        out = {"out": compiled(job["source"]).render(**job["vars"])}
    except Exception as x:
        out = {"err": str(x)}
    print(json.dumps(out), flush=True)
