"""Network namespaces joined by a veth pair, and servers in them, for demo, tests and benchmarks."""
