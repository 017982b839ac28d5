"""The XDP program's life: compiled by bcc in a child, loaded, attached by a link, maps written."""
