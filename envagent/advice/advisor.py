"""The five decisions of a run. Rules decide each of them completely."""

from __future__ import annotations

from collections.abc import Sequence

from envagent.advice import duration, images
from envagent.advice.model import Decision, Placement
from envagent.advice.needs import need_of
from envagent.catalog import NodeType
from envagent.cloud.port import Image
from envagent.errors import NothingSuitable
from envagent.repository.model import Analysis, Snapshot


class Advisor:
    """Decides requirements, image candidates, image, node type and duration, each with its reason."""

    def requirements(self, snapshot: Snapshot, analysis: Analysis) -> tuple[Analysis, Decision]:
        """What the project needs."""
        value = analysis.requirements.model_dump(mode="json")
        count = len(analysis.evidence)
        reason = f"read from {count} {'place' if count == 1 else 'places'} in the repository"
        if not count:
            reason = "nothing in the repository tells: defaults"
        return analysis, Decision(name="requirements", value=value, source="rules", reason=reason, rules_value=value)

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
            raise NothingSuitable(f"no image here suits {nodes[0].name}: {images.lacking(available, nodes[0], need)}")
        chosen = images.shortlist(found)
        names: list[str] = [i.name for i in chosen]
        reason = f"{len(chosen)} of {len(available)} images suit {nodes[0].name}, best first"
        return chosen, Decision(
            name="image_candidates",
            value=list(names),
            source="rules",
            reason=reason,
            rules_value=list(names),
            alternatives=tuple(i.name for i in found if i not in chosen),
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
            named = images.find_named(candidates, wish)
            reason, warnings = images.explain(named, need)
            if problem := images.misfit(named, node_type, need):
                warnings = (f"named by the user although {problem}", *warnings)
            value = {"name": named.name, "id": named.id}
            return named, Decision(name="image", value=dict(value), source="user", reason=reason, warnings=warnings)
        fitting = [i for i in candidates if images.misfit(i, node_type, need) is None]
        if not fitting:
            why = "; ".join(f"{i.name}: {images.misfit(i, node_type, need)}" for i in candidates)
            raise NothingSuitable(f"no image candidate suits {node_type.name}: {why or 'there are none'}")
        best = fitting[0]
        reason, warnings = images.explain(best, need)
        return best, Decision(
            name="image",
            value={"name": best.name, "id": best.id},
            source="rules",
            reason=reason,
            rules_value={"name": best.name, "id": best.id},
            alternatives=tuple(i.name for i in fitting[1:]),
            warnings=warnings,
        )

    def node_type(
        self, placement: Placement, analysis: Analysis, *, wish: str | None = None
    ) -> tuple[Placement, Decision]:
        """The placement with the chosen node type first; the rest stays as what to try next."""
        best = placement.best
        return placement, Decision(
            name="node_type",
            value=best.node_type.name,
            source="user" if wish is not None else "rules",
            reason=best.why,
            rules_value=best.node_type.name,
            alternatives=tuple(c.node_type.name for c in placement.candidates[1:]),
            rejected=tuple(f"{name}: {why}" for name, why in placement.excluded.items()),
            warnings=best.warnings,
        )

    def duration(self, analysis: Analysis, node_type: NodeType, *, wish: int | None = None) -> tuple[int, Decision]:
        """Hours of the lease. Raises UsageError when the user's hours are outside 1..168."""
        hours, reason = duration.by_rules(analysis, node_type)
        if wish is not None:
            asked = duration.checked(wish)
            cost = duration.service_units(node_type, asked)
            return asked, Decision(
                name="duration",
                value=asked,
                source="user",
                reason=f"asked for by the user; {cost:g} SU on {node_type.name}",
                rules_value=hours,
            )
        return hours, Decision(name="duration", value=hours, source="rules", reason=reason, rules_value=hours)
