"""The XDP program: compiled by bcc in a child process, loaded, and attached by a link."""
