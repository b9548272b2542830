"""The five decisions of a run: rules decide each of them completely, an AI may propose inside their bounds.

A user's wish stands over both. An AI that fails, or proposes what does not exist or breaks a bound, changes nothing
but the warnings: the rules' answer stands. After a failure that makes the AI useless it is not asked again.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import JsonValue

from envagent.advice import answers, bounds, duration, excerpts, images, proposals, tasks
from envagent.advice.ai import Ai, NoProposal
from envagent.advice.decisions import Decision, Placement, Usage
from envagent.advice.needs import need_of
from envagent.advice.untrusted import one_line
from envagent.catalog import NodeType
from envagent.cloud.port import Image
from envagent.errors import AdviceUnavailable, NothingSuitable
from envagent.repository.results import Analysis, Snapshot

P = TypeVar("P", bound=proposals.Proposal)
_EVIDENCE_TOKENS = 8000
"""The most tokens of repository text in a prompt."""


@dataclass(frozen=True)
class _Heard(Generic[P]):
    """What asking the AI brought: an answer, or a warning why there is none; neither when it was not asked."""

    answer: P | None = None
    usage: Usage | None = None
    warnings: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        return one_line(self.answer.reasoning) if self.answer else ""


class Advisor:
    """Decides requirements, image candidates, image, node type and duration, each with its reason.

    One advisor serves one run. It asks the AI for each decision once (five calls at most, whatever is refused later)
    and remembers that it is of no use. Safe to use from several threads: one question at a time.
    """

    def __init__(
        self,
        ai: Ai | None = None,
        *,
        demanded: bool = False,
        longest_hours: int = duration.LONGEST_HOURS,
    ) -> None:
        """Keep the settings.

        Args:
            ai: None to let the rules decide alone.
            demanded: raise AdviceUnavailable where the AI gives no usable answer, instead of going on by rules.
            longest_hours: the most hours that the AI may propose.
        """
        self._ai = ai
        self._hide = ai.hide if ai is not None else str
        self._demanded = demanded
        self._longest = min(longest_hours, duration.LONGEST_HOURS)
        self._asked: set[type[proposals.Proposal]] = set()
        self._asking = threading.Lock()

    def requirements(self, snapshot: Snapshot, analysis: Analysis) -> tuple[Analysis, Decision]:
        """What the project needs.

        Raises:
            AdviceUnavailable: the AI is demanded and gave no answer (as for every decision).
        """
        ours = analysis.requirements.model_dump(mode="json")
        reason = _sources(analysis)
        facts: dict[str, JsonValue] = {
            "rules": ours,
            "sizing": analysis.sizing.model_dump(mode="json", exclude={"reasons"}),
            "bounds": "documented numbers may be raised up to fourfold, never lowered",
        }
        heard = self._ask(
            tasks.REQUIREMENTS,
            proposals.RequirementsProposal,
            facts,
            excerpts.brief(snapshot, analysis, _EVIDENCE_TOKENS) if self._ai else "",
        )
        if heard.answer is None:
            return analysis, Decision(
                name="requirements",
                value=ours,
                source="rules",
                reason=reason,
                rules_value=ours,
                warnings=heard.warnings,
                usage=heard.usage,
            )
        merged = bounds.merge(analysis, heard.answer)
        decided = bounds.resized(analysis, merged.requirements)
        by_ai = bool(merged.changed) or not merged.rejected
        if merged.changed:
            changes = ", ".join(f"{name} {ours.get(name)} -> {new}" for name, new in merged.changed.items())
            reason = f"{heard.reason} ({changes})"
        elif by_ai:
            reason = f"{reason}; the AI agrees: {heard.reason}"
        return decided, self._given(
            heard,
            name="requirements",
            value=decided.requirements.model_dump(mode="json"),
            source="ai" if by_ai else "rules",
            reason=reason,
            rules_value=ours,
            rejected=tuple(merged.rejected),
            warnings=heard.warnings,
            usage=heard.usage,
        )

    def image_candidates(
        self,
        available: Sequence[Image],
        analysis: Analysis,
        placement: Placement,
        *,
        wish: str | None = None,
    ) -> tuple[list[Image], Decision]:
        """Three to five images that suit the placement (fewer where the site has fewer), best first.

        Args:
            available: the site's images.
            analysis: what the project needs.
            placement: where it may go.
            wish: the image that the user names, by name or id.

        Raises:
            UsageError: the user's image does not exist, or the name is ambiguous.
            NothingSuitable: no image suits.
        """
        if wish is not None:
            named = images.find_named(available, wish)
            return [named], Decision(
                name="image_candidates", value=[named.name], source="user", reason="named by the user"
            )
        need = need_of(analysis)
        nodes = [c.node_type for c in placement.candidates]
        found = images.ranked(available, nodes, need)
        if not found:
            lacking = images.lacking(available, nodes[0], need)
            raise NothingSuitable(f"no image here suits {nodes[0].name}: {lacking}")
        by_rules = images.shortlist(found)
        reason = f"{len(by_rules)} of {len(available)} images suit {nodes[0].name} best"
        options = {i.id: i for i in found[: answers.MOST_OPTIONS]}
        heard: _Heard[proposals.CandidatesProposal] = _Heard()
        if len(options) > 1:
            facts: dict[str, JsonValue] = {
                "requirements": analysis.requirements.model_dump(mode="json"),
                "node_type": nodes[0].name,
                "images": [answers.image_facts(i) for i in options.values()],
                "rules": answers.names(by_rules),
            }
            heard = self._ask(tasks.CANDIDATES, proposals.CandidatesProposal, facts)
        chosen: list[Image] = by_rules
        rejected: list[str] = []
        if heard.answer is not None:
            chosen, rejected = answers.candidates(heard.answer, options, available, by_rules)
        by_ai = heard.answer is not None and chosen is not by_rules
        return chosen, self._given(
            heard,
            name="image_candidates",
            value=answers.names(chosen),
            source="ai" if by_ai else "rules",
            reason=heard.reason if by_ai else reason,
            rules_value=answers.names(by_rules),
            alternatives=tuple(i.name for i in found if i not in chosen),
            rejected=tuple(rejected),
            warnings=heard.warnings,
            usage=heard.usage,
        )

    def image(
        self,
        candidates: Sequence[Image],
        analysis: Analysis,
        node_type: NodeType,
        *,
        wish: str | None = None,
    ) -> tuple[Image, Decision]:
        """The one image for a node type.

        Args:
            candidates: what `image_candidates` gave, with details.
            analysis: what the project needs.
            node_type: the chosen one.
            wish: the image that the user names.

        Raises:
            NothingSuitable: no candidate suits the node type.
        """
        need = need_of(analysis)
        if wish is not None:
            chosen = images.find_named(candidates, wish)
            reason, warnings = images.explain(chosen, need)
            if problem := images.misfit(chosen, node_type, need):
                warnings = (f"named by the user although {problem}", *warnings)
            value = answers.image_value(chosen)
            return chosen, Decision(name="image", value=value, source="user", reason=reason, warnings=warnings)
        fitting = {i.id: i for i in images.fitting(candidates, node_type, need)}
        if not fitting:
            why = "; ".join(f"{i.name}: {images.misfit(i, node_type, need)}" for i in candidates)
            raise NothingSuitable(f"no image candidate suits {node_type.name}: {why or 'there are none'}")
        best = chosen = next(iter(fitting.values()))
        heard: _Heard[proposals.ImageProposal] = _Heard()
        if len(fitting) > 1:
            facts: dict[str, JsonValue] = {
                "requirements": analysis.requirements.model_dump(mode="json"),
                "node_type": node_type.name,
                "candidates": [answers.image_facts(i) for i in fitting.values()],
                "rules": best.name,
            }
            heard = self._ask(tasks.IMAGE, proposals.ImageProposal, facts)
        rejected: tuple[str, ...] = ()
        by_ai = False
        if heard.answer is not None:
            chosen, refusal = answers.image(heard.answer, fitting, need)
            by_ai = refusal is None
            rejected = (refusal,) if refusal else ()
        reason, warnings = images.explain(chosen, need)
        return chosen, self._given(
            heard,
            name="image",
            value=answers.image_value(chosen),
            source="ai" if by_ai else "rules",
            reason=heard.reason if by_ai else reason,
            rules_value=answers.image_value(best),
            alternatives=tuple(i.name for i in fitting.values() if i is not chosen),
            rejected=rejected,
            warnings=(*warnings, *heard.warnings),
            usage=heard.usage,
        )

    def node_type(
        self, placement: Placement, analysis: Analysis, *, wish: str | None = None, most_su: float = math.inf
    ) -> tuple[Placement, Decision]:
        """The placement with the chosen node type first; the rest stays as what to try next.

        Args:
            placement: the ranked candidates; one alone when the user named it.
            analysis: what the project needs.
            wish: the node type that the user named.
            most_su: the most that the lease may cost on the AI's choice.
        """
        best = placement.best
        options = {answers.key(c): c for c in placement.candidates if answers.equal_standing(c, best)}
        heard: _Heard[proposals.NodeTypeProposal] = _Heard()
        if wish is None and len(options) > 1:
            facts: dict[str, JsonValue] = {
                "requirements": analysis.requirements.model_dump(mode="json"),
                "candidates": [{"name": key, "why": c.why, "waste": c.waste} for key, c in options.items()],
                "rules": answers.key(best),
            }
            heard = self._ask(tasks.NODE_TYPE, proposals.NodeTypeProposal, facts)
        chosen, rejected = best, [f"{name}: {why}" for name, why in placement.excluded.items()]
        by_ai = False
        if heard.answer is not None:
            chosen, refusal = answers.node_type(heard.answer, options, placement, most_su)
            by_ai = refusal is None
            rejected[:0] = [refusal] if refusal else []
        rest = [c for c in placement.candidates if c is not chosen]
        ordered = placement.model_copy(update={"candidates": (chosen, *rest)})
        by_user = wish is not None
        return ordered, self._given(
            heard,
            name="node_type",
            value=chosen.node_type.name,
            source="user" if by_user else "ai" if by_ai else "rules",
            reason=f"{heard.reason} ({chosen.why})" if by_ai else chosen.why,
            rules_value=best.node_type.name,
            alternatives=tuple(c.node_type.name for c in rest),
            rejected=tuple(rejected),
            warnings=(*chosen.warnings, *heard.warnings),
            usage=heard.usage,
        )

    def duration(
        self, analysis: Analysis, node_type: NodeType, *, wish: int | None = None, most_su: float = math.inf
    ) -> tuple[int, Decision]:
        """Hours of the lease.

        Args:
            analysis: what the project needs.
            node_type: the chosen one.
            wish: the hours that the user asks for.
            most_su: the most that the lease may cost for the AI's hours.

        Raises:
            UsageError: the user's hours are outside 1..168.
        """
        ours, reason = duration.by_rules(analysis, node_type)
        if wish is not None:
            asked = duration.checked(wish)
            cost = duration.service_units(node_type, asked)
            return asked, Decision(
                name="duration",
                value=asked,
                source="user",
                reason=f"asked for by the user; {cost:g} SU on {node_type.name}",
                rules_value=ours,
            )
        facts: dict[str, JsonValue] = {
            "requirements": analysis.requirements.model_dump(mode="json"),
            "workload": analysis.workload,
            "node_type": node_type.name,
            "su_per_hour": node_type.su_factor,
            "bounds": {"shortest_hours": duration.SHORTEST_HOURS, "longest_hours": self._longest},
            "rules": ours,
        }
        if most_su < math.inf:
            facts["most_su"] = most_su
        heard = self._ask(tasks.DURATION, proposals.DurationProposal, facts)
        hours, by_ai = ours, False
        rejected: tuple[str, ...] = ()
        if heard.answer is not None:
            said = heard.answer.duration_hours
            cost = duration.service_units(node_type, said)
            if not duration.SHORTEST_HOURS <= said <= self._longest:
                rejected = (f"{said} hours: outside {duration.SHORTEST_HOURS} to {self._longest}",)
            elif said > ours and cost > most_su:
                rejected = (f"{said} hours: {cost:g} SU on {node_type.name}, {most_su:g} SU at most",)
            else:
                hours, by_ai, reason = said, True, f"{heard.reason} (about {cost:g} SU)"
        return hours, self._given(
            heard,
            name="duration",
            value=hours,
            source="ai" if by_ai else "rules",
            reason=reason,
            rules_value=ours,
            rejected=rejected,
            warnings=heard.warnings,
            usage=heard.usage,
        )

    def _given(self, heard: _Heard[P], **parts: Any) -> Decision:
        """Make the decision after an AI was asked.

        Raises:
            AdviceUnavailable: the AI is demanded, and nothing in its answer can be used.
        """
        made = Decision(**parts)
        rejected = tuple(self._hide(one) for one in made.rejected)
        if self._demanded and heard.answer is not None and made.source == "rules":
            why = rejected[0] if rejected else "it names nothing that is on offer"
            raise AdviceUnavailable(f"the AI's answer on {made.name.replace('_', ' ')} cannot be used: {why}")
        return made.model_copy(update={"reason": self._hide(made.reason), "rejected": rejected})

    def _ask(self, task: str, schema: type[P], facts: Mapping[str, JsonValue], untrusted: str = "") -> _Heard[P]:
        """Ask the AI, if there is one that is of use. Never fails unless the AI is demanded."""
        with self._asking:
            return self._ask_alone(task, schema, facts, untrusted)

    def _ask_alone(self, task: str, schema: type[P], facts: Mapping[str, JsonValue], untrusted: str) -> _Heard[P]:
        if self._ai is None or schema in self._asked:
            return _Heard()
        self._asked.add(schema)
        try:
            answer = self._ai.ask(task, schema, facts, untrusted)
        except NoProposal as failed:
            if failed.unavailable:
                self._ai.close()
                self._ai = None
            outcome, usage = failed, failed.usage
        else:
            told = answer.value.model_copy(update={"reasoning": self._hide(answer.value.reasoning)})
            return _Heard(told, answer.usage)
        if self._demanded:
            raise AdviceUnavailable(f"the AI gave no answer: {outcome.reason}")
        further = "; it is not asked again" if outcome.unavailable else ""
        return _Heard(usage=usage, warnings=(f"the AI gave no answer, the rules decided: {outcome.reason}{further}",))


def _sources(analysis: Analysis) -> str:
    """Say where each conclusion was read: the first place of each."""
    places: dict[str, str] = {}
    for one in analysis.evidence:
        line = "" if one.line is None else f":{one.line}"
        places.setdefault(one.field.replace("_", " "), one_line(f"{one.path}{line}"))
    told = [f"{field}: {place}" for field, place in places.items()]
    return "; ".join(told) or "nothing in the repository tells: defaults"
