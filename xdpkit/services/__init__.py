"""The services, each with its data, from its files to the snapshot."""
