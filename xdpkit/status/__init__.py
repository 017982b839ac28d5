"""What an instance counts, as a document and as tables."""
