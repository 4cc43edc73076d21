"""The console. A package, so that its services and its browser are started once for all of its chapters."""
