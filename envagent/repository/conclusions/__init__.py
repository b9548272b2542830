"""From facts to requirements, one module per question.

Each weighs the facts of its subject, decides, and gives the evidence that carried the decision. What no fact tells
stays None here; `sizing` alone fills gaps, and says so.
"""
