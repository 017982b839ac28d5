"""Changes to an interface: planned, journaled, made, and undone."""
