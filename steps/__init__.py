"""The steps from a repository URL to a recorded, reachable server, in the order in which a user reads them."""

from envagent.engine.pipeline import Pipeline
from envagent.steps.analyze_repository import AnalyzeRepository
from envagent.steps.assign_floating_ip import AssignFloatingIp
from envagent.steps.ensure_keypair import EnsureKeypair
from envagent.steps.find_network import FindNetwork
from envagent.steps.initialize import Initialize
from envagent.steps.launch_server import LaunchServer
from envagent.steps.request import RunRequest
from envagent.steps.reserve_hardware import ReserveHardware
from envagent.steps.save_state import SaveState
from envagent.steps.select_image import SelectImage
from envagent.steps.verify import Verify

PROVISIONING = Pipeline(
    "provisioning",
    RunRequest,
    [
        Initialize(),
        AnalyzeRepository(),
        SelectImage(),
        EnsureKeypair(),
        FindNetwork(),
        ReserveHardware(),
        LaunchServer(),
        AssignFloatingIp(),
        Verify(),
        SaveState(),
    ],
)
"""The pipeline behind `envagent run`; declared at import, so a wrong graph never starts."""
