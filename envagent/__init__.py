"""envagent: from a repository URL to a Chameleon server that you can log in to."""

__version__ = "0.1.0"
