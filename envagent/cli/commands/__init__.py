"""The commands, a file each, and the options that they share.

Nothing heavy is imported before a command needs it, so that `--help` and shell completion respond at once.
"""
