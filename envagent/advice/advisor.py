"""The five decisions of a run: rules decide each completely, an AI may propose within their bounds.

A user's wish overrides both. If the AI fails, or proposes something that does not exist or exceeds a bound, the rules'
answer stands and only the warnings change. After a failure that makes the AI useless, it is not asked again.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import JsonValue

from envagent.advice import answers, bounds, duration, excerpts, images, proposals
from envagent.advice.ai import Ai, NoProposal
from envagent.advice.decisions import Decision, Placement, Source, Usage
from envagent.advice.needs import gpu_counts, need_of
from envagent.advice.refusals import had_nowhere
from envagent.advice.untrusted import one_line
from envagent.catalog import NodeType
from envagent.cloud.port import Image
from envagent.errors import AdviceUnavailable, NothingSuitable
from envagent.repository.results import Analysis, Snapshot

P = TypeVar("P", bound=proposals.Proposal)
_EVIDENCE_TOKENS = 8000
"""Maximum number of tokens of repository text in a prompt."""
_MOST_SOURCES = 7
_CONCLUSIONS = {
    "gpu_required True": "GPU required",
    "gpu_required False": "no GPU required",
    "gpu_count 1": "1 GPU",
    "gpu_count": "{} GPUs",
    "gpu_memory_gb": "GPU memory {} GB",
    "compute_capability": "compute capability {}",
    "cuda_version": "CUDA {}",
    "python_version": "Python {}",
    "ram_gb": "RAM {} GB",
    "disk_gb": "disk {} GB",
    "cpu_cores": "{} cores",
    "os_version": "Ubuntu {}",
    "node_count": "{} machines",
}
"""How a piece of evidence is worded, by its field or by field and value."""


@dataclass(frozen=True)
class _Reply(Generic[P]):
    """The outcome of asking the AI: an answer, or a warning why there is none; neither if it was not asked."""

    answer: P | None = None
    usage: Usage | None = None
    warnings: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        return one_line(self.answer.reasoning) if self.answer else ""


class Advisor:
    """Decides requirements, image candidates, image, node type and duration, each with its reason.

    One advisor serves one run. It asks the AI once per decision (at most five calls, whatever is rejected later) and
    stops asking once the AI proved unavailable. Thread-safe: one question at a time.

    In every method, `analysis` says what the project needs, `wish` is what the user requested, and `most_su` limits the
    cost of the lease on what the AI chooses.
    """

    def __init__(
        self, ai: Ai | None = None, *, required: bool = False, longest_hours: int = duration.LONGEST_HOURS
    ) -> None:
        """Keep the settings.

        Args:
            ai: None to use only the rules.
            required: raise AdviceUnavailable if the AI gives no usable answer, instead of falling back to the rules.
            longest_hours: maximum number of hours that the AI may propose.
        """
        self._ai = ai
        self._hide = ai.hide if ai is not None else str
        self._required = required
        self._longest = min(longest_hours, duration.LONGEST_HOURS)
        self._asked: set[type[proposals.Proposal]] = set()
        self._asking = threading.Lock()

    def close(self) -> None:
        """Close the connections to the AI."""
        if self._ai is not None:
            self._ai.close()

    def requirements(self, snapshot: Snapshot, analysis: Analysis) -> tuple[Analysis, Decision]:
        """Decide what the project needs.

        Raises:
            AdviceUnavailable: the AI is required and gave no answer (as for every decision).
        """
        ours = analysis.requirements.model_dump(mode="json")
        reply = self._ask(
            proposals.RequirementsProposal,
            {
                "rules": ours,
                "sizing": analysis.sizing.model_dump(mode="json", exclude={"reasons"}),
                "bounds": "documented numbers may be raised up to fourfold, never lowered",
            },
            excerpts.brief(snapshot, analysis, _EVIDENCE_TOKENS) if self._ai else "",
        )
        decided, by_ai, reason = analysis, False, _sources(analysis)
        rejected: list[str] = []
        if reply.answer is not None:
            merged = bounds.merge(analysis, reply.answer)
            decided, rejected = bounds.resized(analysis, merged.requirements), merged.rejected
            by_ai = bool(merged.changed) or not rejected
            if merged.changed:
                changes = ", ".join(f"{name} {ours.get(name)} -> {new}" for name, new in merged.changed.items())
                reason = f"{reply.reason} ({changes})"
            elif by_ai:
                reason = f"{reason}; the AI agrees: {reply.reason}"
        return decided, self._decision(
            reply,
            by_ai,
            name="requirements",
            value=decided.requirements.model_dump(mode="json"),
            reason=reason,
            rules_value=ours,
            rejected=tuple(rejected),
            warnings=beyond_a_run(decided),
        )

    def image_candidates(
        self,
        available: Sequence[Image],
        analysis: Analysis,
        placement: Placement,
        *,
        wish: str | None = None,
    ) -> tuple[list[Image], Decision]:
        """Choose three to five of the site's images that suit the placement (fewer if it has fewer), best first.

        Raises:
            UsageError: the user's image does not exist by name or id, or the name is ambiguous.
            NothingSuitable: no image is suitable.
        """
        if wish is not None:
            named = images.find_named(available, wish)
            return [named], Decision(
                name="image_candidates", value=[named.name], source="user", reason="requested by the user"
            )
        need = need_of(analysis)
        nodes = [c.node_type for c in placement.candidates]
        found = images.ranked(available, nodes, need)
        if not found:
            lacking = images.lacking(available, nodes[0], need)
            raise NothingSuitable(f"no image at this site suits {nodes[0].name}: {lacking}")
        by_rules = images.shortlist(found)
        names = answers.names(by_rules)
        reason = f"best {len(by_rules)} of {len(available)} images for {nodes[0].name}"
        options = {i.id: i for i in found[: answers.MOST_OPTIONS]}
        reply: _Reply[proposals.CandidatesProposal] = _Reply()
        if len(options) > 1:
            facts: list[JsonValue] = [answers.image_facts(i) for i in options.values()]
            reply = self._choose(
                proposals.CandidatesProposal, analysis, node_type=nodes[0].name, images=facts, rules=names
            )
        chosen: list[Image] = by_rules
        rejected: list[str] = []
        if reply.answer is not None:
            chosen, rejected = answers.candidates(reply.answer, options, available, by_rules)
        by_ai = reply.answer is not None and chosen is not by_rules
        return chosen, self._decision(
            reply,
            by_ai,
            name="image_candidates",
            value=answers.names(chosen),
            reason=reply.reason if by_ai else reason,
            rules_value=names,
            alternatives=tuple(i.name for i in found if i not in chosen),
            rejected=tuple(rejected),
        )

    def image(
        self,
        candidates: Sequence[Image],
        analysis: Analysis,
        node_type: NodeType,
        *,
        wish: str | None = None,
    ) -> tuple[Image, Decision]:
        """Choose the image for a node type among the result of `image_candidates`, with details.

        Raises:
            NothingSuitable: no candidate suits the node type.
        """
        need = need_of(analysis)
        if wish is not None:
            chosen = images.find_named(candidates, wish)
            reason, warnings = images.explain(chosen, need)
            if problem := images.misfit(chosen, node_type, need):
                warnings = (f"requested by the user, although {problem}", *warnings)
            value = answers.image_value(chosen)
            return chosen, Decision(name="image", value=value, source="user", reason=reason, warnings=warnings)
        fitting = {i.id: i for i in images.fitting(candidates, node_type, need)}
        if not fitting:
            why = "; ".join(f"{i.name}: {images.misfit(i, node_type, need)}" for i in candidates)
            raise NothingSuitable(f"no image candidate suits {node_type.name}: {why or 'there are none'}")
        best = chosen = next(iter(fitting.values()))
        reply: _Reply[proposals.ImageProposal] = _Reply()
        if len(fitting) > 1:
            facts: list[JsonValue] = [answers.image_facts(i) for i in fitting.values()]
            reply = self._choose(
                proposals.ImageProposal, analysis, node_type=node_type.name, candidates=facts, rules=best.name
            )
        refusal: str | None = None
        if reply.answer is not None:
            chosen, refusal = answers.image(reply.answer, fitting, need)
        by_ai = reply.answer is not None and refusal is None
        reason, warnings = images.explain(chosen, need)
        return chosen, self._decision(
            reply,
            by_ai,
            name="image",
            value=answers.image_value(chosen),
            reason=reply.reason if by_ai else reason,
            rules_value=answers.image_value(best),
            alternatives=tuple(i.name for i in fitting.values() if i is not chosen),
            rejected=(refusal,) if refusal else (),
            warnings=warnings,
        )

    def node_type(
        self, placement: Placement, analysis: Analysis, *, wish: str | None = None, most_su: float = math.inf
    ) -> tuple[Placement, Decision]:
        """Choose a node type and return the placement with it first, followed by what to try next.

        The placement has a single candidate if the user requested it.
        """
        best = placement.best
        options = {answers.key(c): c for c in placement.candidates if answers.equally_good(c, best)}
        reply: _Reply[proposals.NodeTypeProposal] = _Reply()
        if wish is None and len(options) > 1:
            facts: list[JsonValue] = [{"name": key, "why": c.why, "waste": c.waste} for key, c in options.items()]
            reply = self._choose(proposals.NodeTypeProposal, analysis, candidates=facts, rules=answers.key(best))
        chosen, refusal = best, None
        if reply.answer is not None:
            chosen, refusal = answers.node_type(reply.answer, options, placement, most_su)
        by_ai = reply.answer is not None and refusal is None
        rejected = [refusal] if refusal else []
        rejected += [f"{name}: {why}" for name, why in placement.excluded.items()]
        rest = [c for c in placement.candidates if c is not chosen]
        ordered = placement.model_copy(update={"candidates": (chosen, *rest)})
        return ordered, self._decision(
            reply,
            by_ai,
            by_user=wish is not None,
            name="node_type",
            value=chosen.node_type.name,
            reason=f"{reply.reason} ({chosen.why})" if by_ai else chosen.why,
            rules_value=best.node_type.name,
            alternatives=tuple(c.node_type.name for c in rest),
            rejected=tuple(rejected),
            warnings=chosen.warnings,
        )

    def duration(
        self, analysis: Analysis, node_type: NodeType, *, wish: int | None = None, most_su: float = math.inf
    ) -> tuple[int, Decision]:
        """Decide the hours of the lease.

        Raises:
            UsageError: the user's hours are outside 1 to 168.
        """
        ours, reason = duration.by_rules(analysis)
        if wish is not None:
            return duration.checked(wish), Decision(
                name="duration", value=wish, source="user", reason="requested by the user", rules_value=ours
            )
        reply = self._choose(
            proposals.DurationProposal,
            analysis,
            workload=analysis.workload,
            node_type=node_type.name,
            su_per_hour=node_type.su_factor,
            bounds={"shortest_hours": duration.SHORTEST_HOURS, "longest_hours": self._longest},
            rules=ours,
            **({"most_su": most_su} if most_su < math.inf else {}),
        )
        hours, by_ai = ours, False
        rejected: tuple[str, ...] = ()
        if reply.answer is not None:
            said = reply.answer.duration_hours
            cost = duration.service_units(node_type, said)
            if not duration.SHORTEST_HOURS <= said <= self._longest:
                rejected = (f"{said} hours: outside {duration.SHORTEST_HOURS} to {self._longest}",)
            elif said > ours and cost > most_su:
                rejected = (f"{said} hours: {cost:g} SU on {node_type.name}, limit {most_su:g} SU",)
            else:
                hours, by_ai, reason = said, True, reply.reason
        return hours, self._decision(
            reply, by_ai, name="duration", value=hours, reason=reason, rules_value=ours, rejected=rejected
        )

    def _decision(
        self, reply: _Reply[P], by_ai: bool, *, by_user: bool = False, warnings: Sequence[str] = (), **parts: Any
    ) -> Decision:
        """Create the decision after an AI was asked.

        Raises:
            AdviceUnavailable: the AI is required, and nothing in its answer is usable.
        """
        source: Source = "user" if by_user else "ai" if by_ai else "rules"
        made = Decision(**parts, source=source, warnings=(*warnings, *reply.warnings), usage=reply.usage)
        rejected = tuple(self._hide(one) for one in made.rejected)
        if self._required and reply.answer is not None and source == "rules":
            why = rejected[0] if rejected else "it names none of the options"
            raise AdviceUnavailable(f"unusable answer of the AI about {made.name.replace('_', ' ')}: {why}")
        return made.model_copy(update={"reason": self._hide(made.reason), "rejected": rejected})

    def _choose(self, schema: type[P], analysis: Analysis, **facts: JsonValue) -> _Reply[P]:
        """Ask the AI to choose for a project with these requirements; see `_ask`."""
        return self._ask(schema, {"requirements": analysis.requirements.model_dump(mode="json"), **facts})

    def _ask(self, schema: type[P], facts: dict[str, JsonValue], untrusted: str = "") -> _Reply[P]:
        """Ask the AI, if there is one that is available. Never fails unless the AI is required."""
        with self._asking:
            if self._ai is None or schema in self._asked:
                return _Reply()
            self._asked.add(schema)
            try:
                answer = self._ai.ask(schema.task, schema, facts, untrusted)
            except NoProposal as error:
                failed = error
                if failed.unavailable:
                    self._ai.close()
                    self._ai = None
            else:
                value = answer.value.model_copy(update={"reasoning": self._hide(answer.value.reasoning)})
                return _Reply(value, answer.usage)
        if self._required:
            raise AdviceUnavailable(f"the AI gave no answer: {failed.reason}")
        further = "; it will not be asked again" if failed.unavailable else ""
        warning = f"the AI gave no answer, so the rules decided: {failed.reason}{further}"
        return _Reply(usage=failed.usage, warnings=(warning,))


def beyond_a_run(analysis: Analysis) -> tuple[str, ...]:
    """Say what the project needs and a run cannot provide: several machines, many GPUs, hardware that no site has."""
    wanted, found = analysis.requirements, []
    if (wanted.node_count or 1) > 1:
        found.append(f"the project needs {wanted.node_count} machines at the same time; this run launches one")
    usual, largest = gpu_counts(analysis)
    if wanted.gpu_required and usual < largest:
        found.append(f"its largest experiment uses {largest} GPUs; looking for {usual}, which its files name too")
    if nowhere := had_nowhere(wanted.special_requirements):
        found.append(f"the project {nowhere}")
    return tuple(found)


def _sources(analysis: Analysis) -> str:
    """Cite the first place of each conclusion: `GPU required, RAM 64 GB (README.md:3 "needs a GPU and 64 GB RAM")`."""
    places: dict[str, list[str]] = {}
    cited: set[str] = set()
    for one in analysis.evidence:
        what = _CONCLUSIONS.get(f"{one.field} {one.value}") or _CONCLUSIONS.get(one.field, "{}").format(one.value)
        if what not in cited:
            cited.add(what)
            place = one.path if one.line is None else f"{one.path}:{one.line}"
            quote = one_line(one.quote.replace('"', "'"), 70)
            places.setdefault(f'({place} "{quote}")', []).append(what)
    parts = [one_line(f"{', '.join(found)} {place}", 200) for place, found in places.items()]
    return "; ".join(parts[:_MOST_SOURCES]) or "the repository documents nothing, so defaults apply"
