"""python -m envagent."""

from envagent.cli.main import main

main()
