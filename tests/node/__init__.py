"""A real node for set-ups: a Debian root in its own namespaces, with a real sshd on a loopback address."""
