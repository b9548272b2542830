"""The repository: fetch it without trusting it, read the files that tell what it needs, conclude with evidence.

It runs nothing that it fetched, writes nothing outside its own temporary folder, and touches no cloud and no AI.
"""
