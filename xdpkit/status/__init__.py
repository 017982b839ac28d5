"""The counters of an instance, as a document and as tables."""
