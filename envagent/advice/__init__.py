"""The decisions: rules that are complete by themselves, and an AI that proposes within the bounds they set.

This room decides what to use (requirements, image, node type, duration) and why; it reserves and creates nothing.
"""
