"""From a repository's files to a proven environment: the plan of its set-up, and the script that the plan is.

Owns: what declares an environment, in which order it is believed, and quoting. Must not: run anything, or reach a node.
"""
