"""Read any document into sentences.

Owns: which format a document has, and leaving out text that addresses automated readers. Must not: parse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from envagent.repository.documents import comments, hypertext, markdown, notebook, plain, restructured
from envagent.repository.documents.outline import Placed, outline
from envagent.repository.documents.sentence import Block, Sentence, cut
from envagent.repository.documents.splitting import pieces
from envagent.repository.injection import gives_orders, is_suspect

_MAX_TEXT = 300_000
_MAX_SENTENCES = 10_000
_BLOCK = 2000
_SNIFFED = 20_000

Format = Callable[[str], Iterable[Block]]
_FORMATS: tuple[tuple[re.Pattern[str], Format], ...] = (
    (re.compile(r".*\.(?:md|mdx|markdown|mkd|qmd|rmd|pdf)"), markdown.blocks),  # a PDF comes as Markdown
    (re.compile(r".*\.(?:rst|rest)"), restructured.blocks),
    (re.compile(r".*\.(?:html?|xhtml)"), hypertext.blocks),
    (re.compile(r".*\.ipynb"), notebook.blocks),
    (re.compile(r".*\.(?:py|pyw)"), comments.python_blocks),
    (re.compile(r".*\.(?:sh|bash|zsh|slurm|sbatch|pbs|mk|ya?ml|cmake)|(?:.*/)?(?:gnu)?makefile"), comments.blocks),
    (re.compile(r".*\.(?:adoc|asciidoc|asc)"), plain.asciidoc_blocks),
    (re.compile(r".*\.org"), plain.org_blocks),
    (re.compile(r".*\.txt"), plain.blocks),
)  # fmt: skip
_RESTRUCTURED = re.compile(r"^\.\. [\w|-][\w| -]{0,60}::|\S::[ \t]*$|`[^`\n]{1,200}`_|^\.\. _", re.MULTILINE)
_DIRECTIVE = re.compile(r"^\.\. [\w|-][\w| -]{0,60}::", re.MULTILINE)
_MARKDOWN = re.compile(r"^(?:#{1,6} \S|```)|\]\(", re.MULTILINE)


def sentences(path: str, text: str) -> tuple[list[Sentence], list[int]]:
    """Split a document.

    Returns:
        Its sentences without those that address automated readers, and the lines of the sections skipped for that.
    """
    text = cut(text, _MAX_TEXT)
    placed = outline(_format(path, text)(text))
    ordering = {number for number, one in enumerate(placed) if gives_orders(one.block.text)}
    refused = _refused(placed, ordering)
    found: list[Sentence] = []
    for number, one in enumerate(placed):
        block = one.block
        if any(number >= refused.get(section, number + 1) for section in _sections(one)):
            continue
        if block.kind != "code" and number in ordering:
            continue
        around = block.text[:_BLOCK]
        for line, piece in _pieces(block):
            if not is_suspect(piece):
                found.append(
                    Sentence(
                        path=path,
                        line=line,
                        text=piece,
                        kind=block.kind,
                        headings=one.headings,
                        order=len(found),
                        block=around,
                        lead=one.lead,
                        header=block.header,
                        cells=block.cells,
                        depth=max(0, block.nesting - 1),
                    )
                )
        if len(found) >= _MAX_SENTENCES:
            break
    return found, [placed[number].block.line for number in sorted(ordering)]


def _format(path: str, text: str) -> Format:
    name = path.lower()
    for pattern, blocks in _FORMATS:
        if pattern.fullmatch(name):
            return blocks
    start = text[:_SNIFFED]
    if _MARKDOWN.search(start) and not _DIRECTIVE.search(start):
        return markdown.blocks
    return restructured.blocks if _RESTRUCTURED.search(start) else plain.blocks


def _pieces(block: Block) -> Iterable[tuple[int, str]]:
    """Return the sentences of a block; a row, a heading and a line of code are one each."""
    if block.kind in ("table", "heading", "code"):
        return ((block.line, block.text[:_BLOCK]),)
    return pieces(block.lines)


def _sections(one: Placed) -> Iterator[tuple[str, ...]]:
    """Yield every section that contains a block, with and without lines that only act as headings."""
    for headings in {one.headings, one.section}:
        for length in range(1, len(headings) + 1):
            yield headings[:length]


def _refused(placed: list[Placed], ordering: set[int]) -> dict[tuple[str, ...], int]:
    """Find the sections to skip, each from a block on.

    Text above an order in its section is kept, or one line could hide honest requirements.
    """
    refused: dict[tuple[str, ...], int] = {}
    for number in sorted(ordering):
        one = placed[number]
        # The title's section is the whole document: only what stands below the nearest line that acts as a heading
        # is skipped there, or the block alone.
        section = one.section if len(one.section) > 1 else one.headings
        if len(section) > 1 or (one.block.kind == "heading" and section):
            refused.setdefault(section, number)
    return refused
