"""Documents that people wrote for people, split into sentences that know where they stand.

Owns: the formats of documents. Must not: understand hardware.
"""
