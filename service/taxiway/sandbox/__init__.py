"""A local Runway: no key, no cost, and every way to go wrong.

    async with Sandbox(SandboxSettings(duration_s=2)) as sandbox:
        sandbox.will("fail:INTERNAL", "ok")                    # the next two tasks
        sandbox.faults.add(Fault(on="poll", status=502, probability=0.2, seed=7))
        ...                                                    # talk to sandbox.url
        sandbox.tasks, sandbox.creates_by_prompt, sandbox.balance, sandbox.leaks

A separate process is set and looked at over HTTP, under `/sandbox` (see `control`); a person who only has a
prompt writes faults into it (see `marks`). Nothing else of Taxiway is imported: a fake that shared the
adapter's code would share its mistakes.
"""

from taxiway.sandbox.faults import Fault, Outcome, Step
from taxiway.sandbox.server import Sandbox, serve
from taxiway.sandbox.settings import SandboxSettings

__all__ = ["Fault", "Outcome", "Sandbox", "SandboxSettings", "Step", "serve"]
