"""The notation for faults, the same in a prompt, on the command line and in `sandbox.will(...)`.

    word[:value] [option=value …]          several are joined by `;`

In a prompt each stands in double brackets and holds for that prompt's task alone:
`a red fox [[fail:SAFETY.INPUT.TEXT]]`, `a slow fox [[slow:20]] [[poll:502 times=3]]`.

How the task fares:

    fail:CODE              FAILED; the codes `null` and `absent` mean what they say    at=PENDING|RUNNING
    cancelled, vanish      CANCELLED without a DELETE; 404 by itself                   at=PENDING|RUNNING
    stuck:STATUS           stays PENDING, THROTTLED or RUNNING for ever
    slow:SECONDS           RUNNING for so long;     queue:SECONDS   PENDING for so long
    progress:KIND          frozen, backwards, early, absent
    cost:N                 charged in the end; also `full`, `absent`
    outputs:KIND           fewer, none, null, absent, wrong_size, wrong_type, html, empty_file, truncated,
                           cut, missing, forbidden, expired, slow
    race                   a DELETE comes too late: 204, nothing is given back
    ok                     nothing unusual

How its requests are answered, ROUTE being create, poll, delete, output, upload, form, organization, usage, any:

    ROUTE:STATUS           e.g. poll:502, create:429, poll:302
    ROUTE:cut              the connection is reset before the answer (create:cut is a lost create)
    ROUTE:half             it is closed in the middle of the answer's body
    ROUTE:hang             no answer, ever
    ROUTE:slow             the first byte after `delay=` seconds, else 5
    ROUTE:truncated        half the JSON, well framed
    ROUTE:html, :empty     200 with a page of HTML, with nothing
    ROUTE:answer           as usual, but for the options `drop=KEY,KEY` and `put=KEY:VALUE`

Options of these: body=runway|quota|credits|throttle|json|html|empty, after=yes|no (whether the request has
its effect), delay=S, retry_after=S, header=NAME:VALUE, drop=, put=, and the scope: times=N, skip=N,
per_task=N, for=SECONDS, p=PROBABILITY, seed=N, model=ID, prompt=WORD, task=ID.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from taxiway.sandbox.coerce import build
from taxiway.sandbox.faults import ROUTES, Fault, Outcome, Step

_MARK = re.compile(r"\[\[([a-z][^\[\]]*)\]\]")
_SCOPE = {"times": int, "skip": int, "per_task": int, "seed": int, "model": str, "prompt": str}
_RENAMED = {"p": "probability", "for": "for_s", "delay": "delay_s"}
_FLAGS = ("cancelled", "vanish", "race")
_VALUES = {"stuck": "stuck", "progress": "progress", "outputs": "outputs", "fail": "fail"}
_SECONDS = {"slow": "duration_s", "queue": "queue_s"}
_SLOW_S = 5.0


def parse(text: str) -> Step:
    """Return what a text in this notation asks for. Raises `ValueError` that says what is not understood."""
    outcome: dict[str, Any] = {}
    faults: list[Fault] = []
    for clause in filter(None, (part.strip() for part in text.split(";"))):
        head, *rest = clause.split()
        word, _, value = head.partition(":")
        options = _options(rest)
        if word in ROUTES:
            faults.append(_fault(word, value, options))
        else:
            outcome |= _outcome(word, value, options)
    return Step(outcome=build(Outcome, outcome) if outcome else None, faults=tuple(faults))


def parse_rule(text: str) -> Fault:
    """Return one standing fault; an outcome becomes a fault of every create. Raises `ValueError`."""
    clause, scope = _split_scope(text)
    step = parse(clause)
    if step.outcome is not None and not step.faults:
        return build(Fault, {"on": "create", **scope}, outcome=step.outcome)
    if len(step.faults) != 1 or step.outcome is not None:
        message = f"{text!r} is not one fault; faults are added one by one."
        raise ValueError(message)
    return step.faults[0]


def marks_in(prompt: str) -> Step | None:
    """Return what the marks in a prompt ask for. What is not understood is plain text, as for the vendor."""
    if "[[" not in prompt:
        return None
    clauses = []
    for mark in _MARK.findall(prompt):
        try:
            parse(mark)
        except ValueError:
            continue
        clauses.append(mark)
    return parse(";".join(clauses)) if clauses else None


def without_marks(prompt: str) -> str:
    """Return the prompt as a person would read it."""
    return " ".join(_MARK.sub("", prompt).split())


def _split_scope(text: str) -> tuple[str, dict[str, Any]]:
    """Take the scope off a clause about an outcome, where it belongs to the fault around it."""
    if ";" in text or not text.split():
        return text, {}
    head, *rest = text.split()
    if head.partition(":")[0] in ROUTES:
        return text, {}
    own = [option for option in rest if option.startswith("at=")]
    others = [option for option in rest if option not in own]
    return " ".join((head, *own)), _scope(_options(others))


def _options(words: list[str]) -> dict[str, str]:
    options = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign:
            message = f"{word!r} is not an option; options are written name=value."
            raise ValueError(message)
        options[name] = value
    return options


def _outcome(word: str, value: str, options: Mapping[str, str]) -> dict[str, Any]:
    outcome: dict[str, Any] = dict(options)
    if set(options) - {"at"}:
        message = f"{word!r} takes no option but at=, not {', '.join(options)}."
        raise ValueError(message)
    if word in _FLAGS:
        outcome[word] = True
    elif word in _SECONDS:
        outcome[_SECONDS[word]] = _number(value, float, name=word)
    elif word == "cost":
        outcome["cost"] = value if value in ("full", "absent") else _number(value, int, name=word)
    elif word in _VALUES:
        outcome[_VALUES[word]] = value
    elif word != "ok":
        words = ", ".join((*_VALUES, *_SECONDS, *_FLAGS, "cost"))
        message = (
            f"{word!r} is not a fault the sandbox knows; "
            f"tasks take {words}; requests {', '.join(ROUTES)}."
        )
        raise ValueError(message)
    return outcome


def _fault(route: str, action: str, options: dict[str, str]) -> Fault:
    fields: dict[str, Any] = {"on": route, **_action(action)}
    headers = {}
    if "retry_after" in options:
        headers["Retry-After"] = options.pop("retry_after")
    if "header" in options:
        name, _, value = options.pop("header").partition(":")
        headers[name] = value
    if headers:
        fields["headers"] = headers
    if "drop" in options:
        fields["drop"] = options.pop("drop").split(",")
    if "put" in options:
        key, _, value = options.pop("put").partition(":")
        fields["put"] = {key: _json(value)}
    if "after" in options:
        fields["processed"] = options.pop("after") == "yes"
    if "body" in options:
        fields["body"] = options.pop("body")
    return build(Fault, fields | _scope(options))


def _action(action: str) -> dict[str, Any]:
    actions: dict[str, dict[str, Any]] = {
        "cut": {"cut": "answer"},
        "half": {"cut": "body"},
        "hang": {"hang": True},
        "slow": {"delay_s": _SLOW_S},
        "truncated": {"truncate": True},
        "html": {"status": 200, "body": "html"},
        "empty": {"status": 200, "body": "empty"},
        "answer": {},
    }
    if action in actions:
        return actions[action]
    if re.fullmatch(r"[2-5][0-9]{2}", action):
        return {"status": int(action)}
    message = f"{action!r} is neither an HTTP status nor one of {', '.join(actions)}."
    raise ValueError(message)


def _scope(options: Mapping[str, str]) -> dict[str, Any]:
    scope: dict[str, Any] = {}
    for name, value in options.items():
        if name in _RENAMED:
            scope[_RENAMED[name]] = _number(value, float, name=name)
        elif name == "task" or name in _SCOPE:
            scope[name] = _number(value, _SCOPE.get(name, str), name=name)
        else:
            message = f"{name!r} is not an option of a fault."
            raise ValueError(message)
    return scope


def _number(value: str, type_: type, *, name: str) -> Any:
    try:
        return type_(value)
    except ValueError:
        message = f"{name} takes a number, not {value!r}."
        raise ValueError(message) from None


def _json(value: str) -> object:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
