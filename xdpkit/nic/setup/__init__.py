"""Changes to an interface: planned, journaled, applied and undone."""
