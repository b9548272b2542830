"""python -m envagent: as the command, without the current folder among the places that modules come from."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # a clone's dotenv.py or openstack/ would be run; Python put the folder there for -m

from envagent.cli.main import main

main()
