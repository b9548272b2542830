"""The product on real OpenStack services, judged by an operator who sees every project.

    ENVAGENT_TEST_CLOUD=rig python -m pytest tests/rig      the main job, kills in each wait, logins
    ENVAGENT_TEST_CLOUD=rig python -m tests.rig.sweep       SIGKILL at every writing exchange, in three places
    ENVAGENT_TEST_CLOUD=rig python -m tests.rig.parallel    ten runs over eight nodes, strangers beside them

`ENVAGENT_TEST_CLOUD` names an entry of clouds.yaml; `<name>-admin` (the judge) and `<name>-other` (a user of another
project) stand beside it, and `<name>-appcred`, `<name>-appcred-unrestricted` where application credentials are tried.
No machine need be behind a server: no login is tried. Only for a cloud that nobody else uses: what is in the project
besides strangers' things and the runs' own counts as left behind.
"""
