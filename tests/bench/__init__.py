"""How much Taxiway costs beside the least that the same work can cost: `python -m tests.bench.run`."""
