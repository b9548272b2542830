"""The DAG: steps registered in order, edges that follow from the types.

Registration finds errors before anything runs: two steps of one name, two producers of one output, an output
that no stage makes, a cycle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from graphlib import CycleError, TopologicalSorter

from pydantic import BaseModel

from envagent.engine.step import DefinitionError, Output, Stage, Step


class Pipeline:
    """Steps in the order in which a user sees them, and the graph of their stages.

    Args:
        name: stored with every run; a run is resumed only by a pipeline of its name.
        request: the model of what a run starts with; stages may read it like any output.
        steps: an instance of each step.

    Raises:
        DefinitionError: the steps do not form a DAG with exactly one producer of each output.
    """

    def __init__(self, name: str, request: type[BaseModel], steps: Sequence[Step]) -> None:
        self.name = name
        self.request = request
        self.steps = {step.name: step for step in steps}
        if len(self.steps) != len(steps):
            twice = sorted(name for name, count in Counter(step.name for step in steps).items() if count > 1)
            raise DefinitionError(f"several steps have the same name: {', '.join(twice)}")
        self.stages = {stage.key: stage for step in steps for stage in step.describe()}
        self._producers = _producers(self.stages.values())
        self.sources = {stage.key: self._sources(stage) for stage in self.stages.values()}
        """Stage key to its parameters, each with the key of the stage that fills it; None is the request."""
        self.upstream = {
            key: frozenset(source for source in sources.values() if source) for key, sources in self.sources.items()
        }
        """Stage key to the keys of the stages whose outputs it reads."""
        try:
            self.order = tuple(TopologicalSorter(self.upstream).static_order())
        except CycleError as error:
            raise DefinitionError(f"the stages form a cycle: {' -> '.join(reversed(error.args[1]))}") from None
        self.downstream: dict[str, tuple[str, ...]] = {
            key: tuple(other for other in self.stages if key in self.upstream[other]) for key in self.stages
        }

    def producer(self, model: type[Output]) -> Stage:
        """Return the stage that makes an output.

        Raises:
            KeyError: no stage does.
        """
        return self.stages[self._producers[model]]

    def last_stage(self, step: str) -> Stage:
        """Return the stage whose output is the step's."""
        return self.stages[f"{step}.{self.steps[step].stages[-1]}"]

    def independent_of(self, key: str) -> frozenset[str]:
        """Return the stages that can finish before a stage does, without that stage."""
        after, found = {key}, [key]
        while found:
            found = [one for each in found for one in self.downstream[each] if one not in after]
            after |= {*found}
        return frozenset(self.stages) - after

    def _sources(self, stage: Stage) -> dict[str, str | None]:
        sources: dict[str, str | None] = {}
        for parameter, model in stage.reads.items():
            if model is self.request:
                sources[parameter] = None
            elif issubclass(model, Output) and model in self._producers:
                sources[parameter] = self._producers[model]
            else:
                raise DefinitionError(f"{stage.key}: no stage makes {model.__name__}, which `{parameter}` reads")
        return sources


def _producers(stages: Iterable[Stage]) -> dict[type[Output], str]:
    producers: dict[type[Output], str] = {}
    for stage in stages:
        if stage.makes in producers:
            raise DefinitionError(f"{stage.makes.__name__} has two producers: {producers[stage.makes]}, {stage.key}")
        producers[stage.makes] = stage.key
    return producers
