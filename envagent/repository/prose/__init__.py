"""What people write about hardware, read sentence by sentence.

`read` in `document` sends every sentence of a document to one module per subject: gpu, amounts, systems, special.
Each knows the words of its subject; `context` knows how much a sentence counts where it stands.
"""
