"""What is served: each service with its data, from its files to the snapshot."""
