"""The instructions to the AI, one per decision."""

REQUIREMENTS = """\
Decide what hardware the main job of the repository needs. The facts hold what our rules read from its files and the \
bounds. Correct them only where the files support it; use null where they do not say. A GPU that the project can use \
but does not need is not required; hardware of a paper's authors that the repository does not need is not one of \
its needs."""

CANDIDATES = """\
Pick the three to five images of the list that suit the project best, best first: by distribution, version and Python, \
current builds before dated ones."""

IMAGE = "Pick the one image of the candidates that suits the project and the node type best."

NODE_TYPE = """\
Pick the one node type of the candidates that suits the project best. All of them satisfy its needs: prefer what is \
free, costs the fewest service units and wastes least, unless the project gains much from more."""

DURATION = """\
Decide for how many hours to reserve the node, between the bounds. Reserved hours are charged, used or not, and can be \
given back early: the shortest time in which the project's main job is likely done."""
