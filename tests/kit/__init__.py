"""What several suites need, written once: repositories, servers, children, a cloud and its judge.

A helper that one suite uses stays with that suite. Nothing here asserts what envagent does.
"""
