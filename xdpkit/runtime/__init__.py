"""What every room of the control plane stands on: deadlines, heartbeats, the snapshot publisher, privileges."""
