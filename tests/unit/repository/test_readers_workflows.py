from __future__ import annotations

import pytest

from envagent.repository.facts import Facts
from envagent.repository.readers.registry import read_file
from tests.unit.repository.facts import facts_of


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("nextflow.config", "process {\n  memory = '128 GB'\n  cpus = 16\n}\n", {"ram": 128, "cores": 16}),
        (
            "conf/base.config",
            "process { withLabel:big { memory = { check_max(16.GB * task.attempt, 'memory') } }\n"
            "  withName: 'X' { memory = 64.GB } } // memory = 900.GB\n",
            {"ram": 64},
        ),
        ("nextflow.config", "profiles {\n aws {\n process.memory = '500 GB'\n }\n}\nprocess.cpus = 8\n", {"cores": 8}),
        ("nextflow.config", "params {\n max_memory = '256.GB'\n memory = 99.GB\n}\n/* process {\n cpus = 9 } */\n", {}),
        ("main.nf", "process A {\n cpus 6\n memory '24 GB'\n script:\n \"x --cpus 99\"\n}\n", {"ram": 24, "cores": 6}),
        (
            "Snakefile",
            "rule a:\n  threads: 8\n  resources: mem_mb=64000, disk_mb=2048\n",
            {"ram": 64, "disk": 2, "cores": 8},
        ),
        ("workflow/rules/b.smk", "rule b:\n  resources:\n    mem_gb=lambda wc, attempt: attempt * 12,\n", {"ram": 12}),
        ("workflow/rules/b.smk", "rule b:\n  resources:\n    mem_mb=8 * 1024,\n    gpu=0\n", {"ram": 8}),
        ("profile/config.yaml", "set-resources:\n  a:\n    mem_mb: 32000\n", {"ram": 32}),
        (
            "a.wdl",
            'runtime {\n memory: "64 GB"\n cpu: 8\n disks: "local-disk 200 HDD"\n}\n',
            {"ram": 64, "cores": 8, "disk": 200},
        ),
        ("a.wdl", 'Int mem_gb = 24\nruntime {\n memory: mem_gb + " GB"\n}\n', {"ram": 24}),
        (
            "a.wdl",
            'input { Int n = 8\n Int m = 20 }\nruntime {\n cpu: n\n memory: "~{m} GB"\n}\n',
            {"ram": 20, "cores": 8},
        ),
        ("a.wdl", 'Int mem = 48\nruntime {\n memory: "~{mem} GiB"\n}\n', {"ram": 48}),
        (
            "tool.cwl",
            "class: CommandLineTool\nrequirements:\n  ResourceRequirement:\n    ramMin: 16384\n    coresMin: 4\n",
            {"ram": 16, "cores": 4},
        ),
        (
            "tool.cwl",
            "hints:\n  - class: ResourceRequirement\n    ramMin: $(inputs.ram)\n    coresMin: 2\n",
            {"cores": 2},
        ),
    ],
)
def test_the_largest_process_counts(path: str, text: str, expected: dict[str, float]) -> None:
    facts = facts_of(path, text)
    assert {a.what: a.value for a in facts.amounts} == expected
    assert facts.gpu == []


@pytest.mark.parametrize(
    ("path", "surely", "maybe"),
    [
        (
            "nextflow.config",
            "process {\n withLabel: gpu {\n accelerator = 1\n }\n}\n",
            "process {\n if (params.use_gpu) {\n accelerator = 1\n }\n}\n",
        ),
        ("main.nf", "process A {\n accelerator 2\n}\n", "process A {\n accelerator params.gpus\n}\n"),
        ("Snakefile", "rule a:\n  resources: gpu=1\n", "rule a:\n  resources: gpu=1 if config['gpu'] else 0\n"),
        ("a.wdl", 'runtime {\n gpuCount: 1\n gpuType: "nvidia-tesla-t4"\n}\n', "runtime {\n gpu: false\n}\n"),
        ("a.cwl", "requirements:\n  cwltool:CUDARequirement:\n    cudaVersionMin: '11.4'\n", "requirements: []\n"),
    ],
)
def test_processes_that_ask_for_a_gpu(path: str, surely: str, maybe: str) -> None:
    assert sum(sign.weight for sign in facts_of(path, surely).gpu) >= 2
    assert sum(sign.weight for sign in facts_of(path, maybe).gpu) <= 0


def test_the_labels_of_a_template_say_little() -> None:
    text = "process {{\n  withLabel:{} {{\n    memory = {{ 72.GB * task.attempt }}\n  }}\n}}\n"
    template, own = (facts_of("conf/base.config", text.format(name)).amounts[0] for name in ("process_high", "align"))
    assert template.value == own.value and template.weight < own.weight / 2
    assert facts_of("conf/base.config", text.format("process_high_memory")).amounts == []
    default = "process {\n  memory = { 6.GB * task.attempt }\n  withLabel:process_high {\n    memory = 72.GB\n  }\n}\n"
    assert [a.value for a in facts_of("conf/base.config", default).amounts] == [72], "its default is the template's too"


def test_the_environment_of_a_process_is_not_the_machines() -> None:
    environment = "dependencies:\n  - python =3.6\n  - samtools =1.9\n"
    for path in ("workflow/envs/a.yaml", "modules/local/x/environment.yml"):
        facts = facts_of(path, environment)
        assert facts.pythons == [] and {p.scope for p in facts.packages} == {"optional"}
    assert facts_of("modules/local/x/Dockerfile", "FROM python:3.6\n").pythons == []
    facts = Facts()
    read_file("envs/a.yaml", environment, facts)
    assert facts.pythons, "without a workflow it may be anybody's"
    read_file("Snakefile", 'rule a:\n    conda: "envs/a.yaml"\n', facts)
    assert facts.pythons == [] and {p.scope for p in facts.packages} == {"optional"}


def test_hostile_workflows_cost_little() -> None:
    for path in ("nextflow.config", "main.nf", "Snakefile", "a.wdl", "a.cwl"):
        for text in (
            "{" * 200_000,
            "memory" + " " * 200_000,
            "a: ${" * 50_000,
            "mem_mb=" + "9" * 200_000,
            "1 * " * 60_000,
        ):
            facts_of(path, text)
