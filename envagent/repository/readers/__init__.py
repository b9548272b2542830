"""One reader per kind of file: text in, facts out.

Each module's `read(path, text, facts)` appends what its file says and raises nothing that the dispatcher in `registry`
does not catch. Readers use well-kept parsers where they exist, and execute nothing.
"""
