"""Clusters and platforms that run a job on rented GPUs."""

from __future__ import annotations

import pytest

from tests.unit.repository.facts import facts_of
from tests.unit.repository.test_readers_containers import concluded

POD = """\
apiVersion: v1
kind: Pod
spec:
  {where}
  containers:
  - name: a
    resources: {{limits: {limits}}}
"""


def pod(limits: str, where: str = "restartPolicy: Never") -> str:
    return POD.format(limits=limits, where=where)


@pytest.mark.parametrize(
    ("limits", "where", "vendor", "count", "memory"),
    [
        ("{nvidia.com/gpu: 2}", "", "nvidia", 2, None),
        ("{nvidia.com/gpu: '1'}", "nodeSelector: {nvidia.com/gpu.product: NVIDIA-A100-SXM4-80GB}", "nvidia", 1, 80),
        ("{nvidia.com/gpu: 4}", "nodeSelector: {cloud.google.com/gke-accelerator: nvidia-tesla-t4}", "nvidia", 4, 16),
        ("{nvidia.com/gpu: 1}", "nodeSelector: {node.kubernetes.io/instance-type: p4d.24xlarge}", "nvidia", 1, 40),
        ("{nvidia.com/mig-1g.10gb: 3}", "", "nvidia", 1, None),
        ("{amd.com/gpu: 8}", "", "amd", 8, None),
        ("{cpu: 4}", "runtimeClassName: nvidia", "nvidia", 1, None),
        ("{cpu: 4}", "nodeSelector: {nvidia.com/gpu.present: 'true'}", "nvidia", 1, None),
    ],
)
def test_pods_with_gpus(limits: str, where: str, vendor: str, count: int | None, memory: float | None) -> None:
    got = concluded("deploy/pod.yaml", pod(limits, where or "restartPolicy: Never"))
    assert (got.gpu_vendor, got.gpu_count, got.gpu_memory_gb) == (vendor, count, memory)


def test_of_several_models_any_one_will_do() -> None:
    term = "{key: nvidia.com/gpu.product, operator: In, values: [NVIDIA-H100-80GB-HBM3, Tesla-T4]}"
    node = f"requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: [{{matchExpressions: [{term}]}}]}}"
    got = concluded("pod.yaml", pod("{nvidia.com/gpu: 1}", f"affinity: {{nodeAffinity: {{{node}}}}}"))
    assert got.gpu_memory_gb == 16


def test_containers_of_a_pod_add_up_and_replicas_do_not() -> None:
    text = """\
        apiVersion: apps/v1
        kind: Deployment
        spec:
          replicas: 3
          template:
            spec:
              containers:
              - resources: {requests: {memory: 48Gi, cpu: "6"}, limits: {nvidia.com/gpu: 1, memory: 96Gi}}
              - resources: {limits: {nvidia.com/gpu: 1, memory: 16Gi, cpu: 2000m}}
        ---
        apiVersion: v1
        kind: Pod
        spec: {containers: [{resources: {limits: {memory: 500Gi}}}]}
        ---
        apiVersion: v1
        kind: PersistentVolumeClaim
        spec: {resources: {requests: {storage: 300Gi}}}
        """
    amounts = {(a.what, a.value) for a in facts_of("k8s/all.yml", text).amounts}
    assert amounts == {("gpus", 2), ("ram", 64.0), ("cores", 8), ("disk", 300.0)}


@pytest.mark.parametrize(
    ("name", "tag"),
    [("google.com/tpu", "tpu"), ("habana.ai/gaudi", "gaudi"), ("rdma/hca", "rdma"), ("hugepages-1Gi", "hugepages")],
)
def test_devices_other_than_gpus(name: str, tag: str) -> None:
    facts = facts_of("pod.yaml", pod(f"{{{name}: 4}}"))
    assert [s.tag for s in facts.specials] == [tag] and not facts.gpu


def test_manifests_of_examples_do_not_speak_for_the_whole() -> None:
    assert not concluded("examples/pod.yaml", pod("{nvidia.com/gpu: 8}")).gpu_required


def test_templates_are_left_alone() -> None:
    facts = facts_of("deploy/a.yaml", "apiVersion: v1\nkind: Pod\n{{- if .Values.a }}\nx: [\n{{ end }}\n")
    assert facts.notes == [] and facts.gpu == []


@pytest.mark.parametrize(
    ("values", "count", "ram"),
    [
        ("resources:\n  limits: {nvidia.com/gpu: 1, memory: 64Gi}\n", 1, 64),
        ("model:\n  requestGPU: 2\n  requestMemory: 32Gi\n", 2, 32),
        ("worker:\n  gpu: {enabled: true, count: 4}\n", 4, None),
        ("worker:\n  enabled: false\n  gpu: {enabled: true, count: 4}\n", None, None),
        ("gpu: {enabled: false, count: 4}\n", None, None),
        ("resources: {}\n", None, None),
    ],
)
def test_values_of_charts(values: str, count: int | None, ram: float | None) -> None:
    got = concluded("charts/serve/values.yaml", values)
    assert (got.gpu_required, got.gpu_count, got.ram_gb) == (count is not None, count, ram)


@pytest.mark.parametrize(
    ("resources", "count", "memory"),
    [
        ("accelerators: A100-80GB:8", 8, 80),
        ("accelerators: V100", 1, 16),
        ("accelerators: {L4: 1, A100: 1}", 1, 24),
        ("accelerators: [H100:8, T4:1]", 1, 16),
        ("any_of: [{accelerators: A100:4}, {accelerators: A10G:4, cloud: aws}]", 4, 24),
        ("instance_type: p3.8xlarge", 4, 16),
    ],
)
def test_tasks_of_skypilot(resources: str, count: int | None, memory: float) -> None:
    got = concluded("task.yaml", f"resources:\n  {resources}\nrun: python a.py\n")
    assert (got.gpu_required, got.gpu_count, got.gpu_memory_gb) == (True, count, memory)


def test_sizes_of_a_task() -> None:
    text = "resources:\n  cpus: 16+\n  memory: 64+\n  disk_size: 500\nnum_nodes: 2\nsetup: pip install timm\nrun: a\n"
    facts = facts_of("sky.yaml", text)
    assert {(a.what, a.value) for a in facts.amounts} == {("cores", 16), ("ram", 64.0), ("disk", 500.0), ("nodes", 2)}
    assert facts.gpu == [] and [p.name for p in facts.packages] == ["timm"]
    one_way = "resources:\n  any_of: [{accelerators: A100}, {cpus: 8}]\nrun: python a.py\n"
    assert facts_of("sky.yaml", one_way).gpu == []
    assert {s.tag for s in facts_of("sky.yaml", "resources:\n  accelerators: tpu-v5e-8\nrun: a\n").specials} == {"tpu"}


@pytest.mark.parametrize(
    ("path", "text", "count", "memory"),
    [
        (".dstack.yml", "type: task\nresources:\n  gpu: A100:80GB:2\n", 2, 80),
        (".dstack.yml", "type: service\nresources:\n  gpu: {name: [L4, H100], count: 1..4, memory: 24GB..}\n", 1, 24),
        (".dstack.yml", "type: task\nresources:\n  gpu: 40GB..80GB\n", 1, 40),
        ("config.yaml", "model_name: a\nresources:\n  accelerator: A10G:2\n  use_gpu: true\n", 2, 24),
        ("fly.toml", '[[vm]]\ngpu_kind = "a100-40gb"\ngpus = 2\n', 2, 40),
        ("cerebrium.toml", '[cerebrium.hardware]\ncompute = "AMPERE_A10"\ngpu_count = 1\n', 1, 24),
        ("exp.yaml", "entrypoint: python a.py\nresources:\n  slots_per_trial: 4\n", 4, None),
        ("cluster.yaml", "cluster_name: a\navailable_node_types:\n  w: {resources: {CPU: 8, GPU: 4}}\n", 4, None),
        ("cluster.yaml", "cluster_name: a\nworker_nodes: {InstanceType: g5.12xlarge}\n", 4, 24),
        ("job.yaml", "steps:\n- instance_type: ml.g5.xlarge\n", 1, 24),
        (
            "job.yaml",
            "spec: {machineType: n1-standard-8, acceleratorType: NVIDIA_TESLA_T4, acceleratorCount: 2}",
            2,
            16,
        ),
        ("bentofile.yaml", "docker: {cuda_version: '12.1'}\n", 1, None),
    ],
)
def test_other_platforms(path: str, text: str, count: int | None, memory: float | None) -> None:
    got = concluded(path, text)
    assert (got.gpu_required, got.gpu_count, got.gpu_memory_gb) == (True, count, memory)


def test_machine_types_with_other_chips() -> None:
    facts = facts_of("job.yaml", "steps:\n- instance_type: ml.trn1.32xlarge\n")
    assert [s.tag for s in facts.specials] == ["trainium"] and facts.gpu == []


def test_cog() -> None:
    text = 'build:\n  gpu: true\n  cuda: "11.8"\n  python_version: 3.10\n  python_packages: ["torch==2.0.1"]\n'
    got = concluded("cog.yaml", text)
    assert (got.gpu_required, got.cuda_version, got.python_version) == (True, "11.8", "3.10")
    text = (
        "build:\n  gpu: false\n  python_version: '3.8'\n  run:\n  - pip install timm\n  - command: pip install einops\n"
    )
    got = concluded("cog.yaml", text)
    assert (got.gpu_required, got.python_version) == (False, "3.8")
    assert [p.name for p in facts_of("cog.yaml", text).packages] == ["timm", "einops"]


@pytest.mark.parametrize(
    "text",
    [
        "distributed_type: MULTI_GPU\ncompute_environment: LOCAL_MACHINE\nnum_processes: 8\n",
        "trainer:\n  accelerator: gpu\n  devices: 8\n",
    ],
)
def test_settings_of_launchers_are_no_need(text: str) -> None:
    facts = facts_of("train.yaml", text)
    assert [(s.weight, s.vendor) for s in facts.gpu] == [(1.0, None)]
    got = concluded("train.yaml", text)
    assert (got.gpu_required, got.gpu_count) == (False, None)


@pytest.mark.parametrize(
    ("text", "count", "memory"),
    [
        ('import modal\n@app.function(gpu="A100-80GB:2", memory=65536)\ndef f(): pass\n', 2, 80),
        ('import modal\nGPU = "H100"\nN = 4\n@app.cls(gpu=f"{GPU}:{N}")\nclass A: pass\n', 4, 80),
        ('import modal\n@app.function(gpu=modal.gpu.A100(count=2, size="80GB"))\ndef f(): pass\n', 2, 80),
        ('import modal\n@app.function(gpu=["H100", "A10G:2"])\ndef f(): pass\n', 2, 24),
        ('import modal\n@app.function(gpu="any")\ndef f(): pass\n', 1, None),
        ('import modal, os\n@app.function(gpu=os.environ.get("GPU", "L4"))\ndef f(): pass\n', 1, 24),
        ('from beam import endpoint\n@endpoint(gpu="A10G", memory="16Gi")\ndef f(): pass\n', 1, 24),
        ('import bentoml\n@bentoml.service(resources={"gpu": 1, "gpu_type": "nvidia-l4"})\nclass A: pass\n', 1, 24),
        ('from flytekit import Resources, task\n@task(requests=Resources(gpu="2"))\ndef f(): pass\n', 2, None),
        ("from metaflow import step, resources\n@resources(gpu=1)\ndef f(self): pass\n", 1, None),
    ],
)
def test_programs_that_ask_platforms(text: str, count: int | None, memory: float | None) -> None:
    got = concluded("serve.py", text)
    assert (got.gpu_required, got.gpu_count, got.gpu_memory_gb) == (True, count, memory)


def test_programs_that_ask_for_little() -> None:
    assert not concluded("tune.py", "import ray\n@ray.remote(num_gpus=1)\ndef f(): pass\n").gpu_required
    assert facts_of("tune.py", "import modal\n@app.function(gpu=None)\ndef f(): pass\n").gpu == []
    assert facts_of("tune.py", 'import numpy\n@app.function(gpu="A100")\ndef f(): pass\n').gpu == []
    image = (
        'import modal\nimage = modal.Image.debian_slim(python_version="3.11").pip_install("vllm==0.6.3", ["timm"])\n'
    )
    facts = facts_of("serve.py", image)
    assert [p.name for p in facts.packages] == ["vllm", "timm"] and facts.pythons[0].allowed == {"3.11"}
