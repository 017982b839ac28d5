"""What the whole control plane uses: deadlines, heartbeats, listeners, publisher, privileges."""
