"""Which models there are, what each accepts and what it costs: data, and pure decisions over it."""
