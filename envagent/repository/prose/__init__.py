"""What people write about hardware, found by the words of one lexicon.

A document becomes sentences (`documents`), a sentence tokens and phrases, and these become mentions: an amount, a GPU,
a system, a piece of special hardware. Each mention gets named features and a stance; `conclusions.model` weighs them.
"""
