"""The decisions: rules that are complete by themselves, and an AI that proposes inside the bounds they set.

It owns what to take (requirements, image, node type, duration) and why; it reserves and creates nothing.
"""
