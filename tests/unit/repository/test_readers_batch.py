from __future__ import annotations

import pytest

from envagent.repository.facts import Facts
from envagent.repository.readers.registry import read_file
from envagent.repository.readers.shell_commands import read_command
from tests.unit.repository.facts import facts_of


def amounts(facts: Facts) -> dict[str, float]:
    return {a.what: a.value for a in facts.amounts if a.stance != "mentioned"}


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("job.slurm", "#SBATCH --gres=gpu:a100:4 -c 32\n#SBATCH --mem=200G\n", (4, 200, 32)),
        ("a/job.sbatch", "#SBATCH --gpus 2\n#SBATCH --mem=64000\n", (2, 64, 0)),
        ("job.sh", "#SBATCH -N 2\n#SBATCH -G 8\n#SBATCH --mem-per-gpu=16G\n", (4, 64, 0)),
        ("submit.sh", "#SBATCH --gpus-per-node=v100:8\n#SBATCH --ntasks-per-node=8 --cpus-per-task=4\n", (8, 0, 32)),
        ("scripts/run.sh", "#SBATCH -N4 -n4\n#SBATCH --gpus-per-task=8\n#SBATCH -c 12\n", (8, 0, 12)),
        ("train.sh", "#SBATCH --ntasks=4\n#SBATCH --cpus-per-task=8\n#SBATCH --mem-per-cpu=4G\n", (0, 128, 32)),
        ("job.slurm", "#SBATCH --nodes=2-4 --gres=gpu:tesla:2(S:0-1),shard:3\n", (2, 0, 0)),
        ("job.slurm", "##SBATCH --gres=gpu:4\n# SBATCH --mem=9G\n#SBATCH --gres=lustre:1\n", (0, 0, 0)),
        ("run.sh", 'srun --gres=gpu:2 --mem 48G python train.py --name "x\n', (2, 48, 0)),
        ("job.pbs", "#PBS -l select=1:ncpus=32:ngpus=4:mem=200gb\n#PBS -q gpu\n", (4, 200, 32)),
        ("job.pbs", "#PBS -l nodes=2:ppn=16:gpus=2,mem=128gb\n", (2, 64, 16)),
        ("job.sge", "#$ -l gpu=2,h_vmem=8G\n#$ -pe smp 8\n", (2, 64, 8)),
        (
            "job.lsf",
            '#BSUB -gpu "num=2:mode=exclusive_process"\n#BSUB -R "rusage[mem=32GB]"\n#BSUB -n 16\n',
            (2, 32, 16),
        ),
        ("job.lsf", '#BSUB -n 64 -R "span[ptile=16] rusage[mem=2048,ngpus_excl_p=1]"\n', (1, 2, 16)),
        ("job.flux", "#flux: -N 2\n#flux: -n 8 -g 1 -c 4\n", (4, 0, 16)),
        ("job.oar", "#OAR -l /nodes=1/gpu=2/core=16,walltime=2:00:00\n", (2, 0, 16)),
    ],
)
def test_what_a_job_asks_of_each_machine(path: str, text: str, expected: tuple[float, float, float]) -> None:
    facts = facts_of(path, "#!/bin/bash\n" + text)
    found = amounts(facts)
    assert (found.get("gpus", 0), found.get("ram", 0), found.get("cores", 0)) == expected
    strongest = max((sign.weight for sign in facts.gpu), default=0.0)
    assert strongest == (3.0 if expected[0] else 0.0), "who asks for a number of GPUs needs one"


def test_the_evidence_of_a_batch_job() -> None:
    facts = facts_of(
        "job.slurm", "#!/bin/sh\n#SBATCH --nodes=3\n#SBATCH --constraint=h100\n#SBATCH --gpus-per-node=4\n"
    )
    assert {(a.what, a.value, a.spot.line) for a in facts.amounts} == {("gpus", 4, 4), ("vram", 80, 3), ("nodes", 3, 2)}
    assert [(s.vendor, s.spot.line) for s in facts.gpu] == [("nvidia", 4)]


def test_a_share_of_a_clusters_node_is_no_need_of_cores() -> None:
    text = "#SBATCH --gpus-per-node=4\n#SBATCH --ntasks-per-node=4\n#SBATCH --cpus-per-task={}\n"
    assert amounts(facts_of("job.slurm", text.format(16))) == {"gpus": 4, "cores": 64}
    assert amounts(facts_of("job.slurm", text.format(32))) == {"gpus": 4}


def test_a_queue_or_a_variable_says_less() -> None:
    weak = facts_of("job.slurm", "#SBATCH --partition=gpu\n").gpu
    assert len(weak) == 1 and 0 < weak[0].weight < 2
    facts = facts_of("run.sh", "srun -n $n --gpus-per-node $n python train.py\n")
    assert facts.gpu[0].weight >= 3 and "gpus" not in amounts(facts)
    assert facts_of("tests/job.slurm", "#SBATCH --gpus=4\n").gpu[0].weight < 1


@pytest.mark.parametrize(
    ("asked", "count", "ram"),
    [
        ((1, 8), 1, 10),
        ((8, 1), 1, 10),
        ((1, 4, 4), 4, 40),
        ((4, 1, 4, 2), 4, 40),
    ],
)
def test_of_several_scripts_the_usual_one_counts(asked: tuple[int, ...], count: int, ram: int) -> None:
    facts = Facts()
    for number, gpus in enumerate(asked):
        read_file(f"job{number}.slurm", f"#SBATCH --gpus={gpus}\n#SBATCH --mem={gpus}0G\n", facts)
    assert amounts(facts) == {"gpus": count, "ram": ram}


def test_commands_in_documents() -> None:
    facts = Facts()
    read_command("README.md", 7, "$ sbatch --gres=gpu:2 job.sh", facts, scope="documented", weight=1.0)
    assert [(a.what, a.value, a.spot.line) for a in facts.amounts] == [("gpus", 2, 7)]
    read_command("README.md", 8, "the queue takes what srun --gres gives", facts, scope="documented", weight=1.0)
    read_command("run.sh", 8, "srun --gres=gpu:4 x", facts, scope="documented", weight=1.0)
    assert len(facts.amounts) == 1, "a script is read as a whole"


def test_hostile_directives_cost_little() -> None:
    for text in (
        "#SBATCH " + "--gres=gpu:" * 20_000,
        "#SBATCH -c 99999999999999999999 -G 99999999999999999999 --mem=9999999999999T\n" * 3000,
        ("; " + " " * 900 + "srun\n") * 300,
        "#PBS -l " + "a=" * 50_000 + "\n#BSUB -n 64 -R span[ptile=0]\n#OAR -l nodes=x/gpu=\n#$ -pe\n",
    ):
        facts = facts_of("job.slurm", text)
        assert all(a.value <= 256 for a in facts.amounts if a.what in ("cores", "gpus"))
