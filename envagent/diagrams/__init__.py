"""The pictures of envagent, drawn from its code: as Mermaid and as SVG, without any other program.

- `pictures.py`: the five pictures, each built from the pipeline, the states and the exchanges of a recorded run.
- `graphs.py`, `sequences.py`, `timelines.py`: what a picture consists of, and how it is written as Mermaid.
- `graph_layout.py`, `canvas.py`: where boxes and arrows of a graph go, and how they are written as SVG.
"""
