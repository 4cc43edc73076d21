"""Where a task is made: which deployment takes it, when, and what follows if it does not come off there."""
