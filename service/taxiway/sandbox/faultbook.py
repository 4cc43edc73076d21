"""Which fault strikes now: the rules in force, their scope, their counts and their dice."""

import random
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from taxiway.sandbox.faults import Fault, Outcome, Route, Step
from taxiway.sandbox.marks import marks_in, parse, parse_rule

#: So many prompts with marks keep their counts; a prompt older than these starts afresh.
_PROMPTS_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a request is about, as far as is known."""

    model: str | None = None
    prompt: str | None = None
    task: str | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Rule:
    """A fault in force, and how often it was met."""

    id: int
    fault: Fault
    since: float
    met: int = 0
    """Requests in its scope."""
    struck: int = 0
    """Requests it was applied to."""
    by_task: Counter[str | None] = field(default_factory=Counter)
    dice: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Reproducible on purpose: these dice decide nothing secret.
        self.dice = random.Random(self.fault.seed)  # noqa: S311

    def strikes(self, route: Route, subject: Subject, *, now: float) -> bool:
        """Return whether it strikes this request, and count it."""
        fault = self.fault
        if not self._covers(route, subject, now):
            return False
        self.met += 1
        if self.met <= fault.skip or (fault.times is not None and self.struck >= fault.times):
            return False
        if fault.per_task is not None and self.by_task[subject.task] >= fault.per_task:
            return False
        if fault.probability < 1 and self.dice.random() >= fault.probability:
            return False
        self.struck += 1
        if fault.per_task is not None:
            self.by_task[subject.task] += 1
        return True

    def _covers(self, route: Route, subject: Subject, now: float) -> bool:
        fault = self.fault
        if fault.on not in (route, "any"):
            return False
        if fault.model is not None and fault.model != subject.model:
            return False
        if fault.prompt is not None and fault.prompt not in (subject.prompt or ""):
            return False
        if fault.task is not None and fault.task != subject.task:
            return False
        return fault.for_s is None or now < self.since + fault.for_s


class FaultBook:
    """The faults of one sandbox: standing rules, a script for the next creates, and marks in prompts."""

    def __init__(self, initial: Iterable[Fault | str] = (), *, now: Callable[[], float]) -> None:
        self._initial = tuple(initial)
        self._now = now
        self._rules: list[Rule] = []
        self._script: deque[Step] = deque()
        self._by_prompt: OrderedDict[str, tuple[Outcome | None, list[Rule]]] = OrderedDict()
        self._last_id = 0
        self.reset()

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    def add(self, fault: Fault | str) -> int:
        """Put a fault in force; return its number. Raises `ValueError` for a text that is no fault."""
        rule = self._rule(parse_rule(fault) if isinstance(fault, str) else fault)
        self._rules.append(rule)
        return rule.id

    def remove(self, number: int) -> bool:
        """Take one fault out of force; return whether there was one."""
        kept = [rule for rule in self._rules if rule.id != number]
        found = len(kept) < len(self._rules)
        self._rules = kept
        return found

    def clear(self) -> None:
        """Take every fault out of force and forget the script."""
        self._rules.clear()
        self._script.clear()

    def replace(self, faults: Iterable[Fault | str]) -> None:
        """Put these faults in force instead of all others. Raises `ValueError` before anything changes."""
        understood = [parse_rule(each) if isinstance(each, str) else each for each in faults]
        self.clear()
        for fault in understood:
            self.add(fault)

    def reset(self) -> None:
        """Go back to the faults of the start."""
        self._by_prompt.clear()
        self.replace(self._initial)

    def will(self, *steps: Step | Outcome | Fault | str) -> None:
        """Script the next creates, one step each, in order. Raises `ValueError` for a text that is no fault."""
        self._script.extend([_step(step) for step in steps])

    def take_step(self) -> Step | None:
        """Take the next step of the script."""
        return self._script.popleft() if self._script else None

    def marked(self, prompt: str) -> tuple[Outcome | None, list[Rule]]:
        """Return what the marks of a prompt ask for: an outcome, and rules that remember their counts."""
        if "[[" not in prompt:
            return None, []
        found = self._by_prompt.get(prompt)
        if found is None:
            step = marks_in(prompt) or Step()
            found = step.outcome, self.rules_of(step)
            self._by_prompt[prompt] = found
            if len(self._by_prompt) > _PROMPTS_REMEMBERED:
                self._by_prompt.popitem(last=False)
        return found

    def rules_of(self, step: Step) -> list[Rule]:
        """Return fresh rules for the faults of a step."""
        return [self._rule(fault) for fault in step.faults]

    def fresh(self, rules: Iterable[Rule]) -> list[Rule]:
        """Return a prompt's rules for one new task, without their counts and without those of the create."""
        return [self._rule(rule.fault) for rule in rules if rule.fault.on != "create"]

    def strike(self, route: Route, subject: Subject, *, also: Iterable[Rule] = ()) -> Fault | None:
        """Return the first fault that strikes this request; a task's own rules, `also`, come first."""
        for rule in (*also, *self._rules):
            if rule.fault.answers and rule.strikes(route, subject, now=self._now()):
                return rule.fault
        return None

    def outcome(self, subject: Subject) -> Outcome | None:
        """Return how a new task is to fare by the standing rules."""
        for rule in self._rules:
            fault = rule.fault
            if (
                fault.outcome
                and not fault.answers
                and rule.strikes("create", subject, now=self._now())
            ):
                return fault.outcome
        return None

    def _rule(self, fault: Fault) -> Rule:
        self._last_id += 1
        return Rule(id=self._last_id, fault=fault, since=self._now())


def _step(step: Step | Outcome | Fault | str) -> Step:
    if isinstance(step, str):
        return parse(step)
    if isinstance(step, Outcome):
        return Step(outcome=step)
    return Step(faults=(step,)) if isinstance(step, Fault) else step
