"""Read a repository: fetch it without trusting it, read the files that matter, conclude what it needs with evidence.

Nothing that was fetched is executed, nothing is written outside a temporary folder, and no cloud or AI is contacted.
"""
