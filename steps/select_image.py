"""The image, in two stages: a few candidates, then the best of them by their details."""

from __future__ import annotations

from envagent.cloud.port import Image
from envagent.engine.step import Output, Step, stage
from envagent.steps.analyze_repository import AnalyzedRepository
from envagent.steps.initialize import Initialized
from envagent.steps.plan import Plan
from envagent.steps.request import RunRequest
from envagent.steps.services import StepContext, record


class AvailableImages(Output):
    """The images that a server can boot from: public ones, and the one that the user names."""

    images: tuple[Image, ...]

    def summary(self) -> str:
        """Count them."""
        return _count(len(self.images), "image")


class ImageCandidates(Output):
    """Up to five images, best first; only one if the user names it."""

    images: tuple[Image, ...]

    def summary(self) -> str:
        """Count them, and name the best."""
        return f"{_count(len(self.images), 'candidate')}, best: {self.images[0].name}"


class SelectedImage(Output):
    """The image for the planned node type."""

    image: Image

    def summary(self) -> str:
        """Name it."""
        return self.image.name


class SelectImage(Step):
    """List the images during the analysis; choose during the reservation.

    Reads: Glance; the AI, if there is one.
    Creates: nothing.
    Owner mark: none.
    Undo: nothing to undo.
    """

    @stage
    def list_images(self, context: StepContext, request: RunRequest, initialized: Initialized) -> AvailableImages:
        """List the site's images."""
        usable = [
            image
            for image in context.services.cloud.images()
            if image.status == "active" and (image.visibility == "public" or request.image in (image.name, image.id))
        ]
        return AvailableImages(images=tuple(usable))

    @stage
    def choose_candidates(
        self,
        context: StepContext,
        request: RunRequest,
        available: AvailableImages,
        analyzed: AnalyzedRepository,
        plan: Plan,
    ) -> ImageCandidates:
        """Stage 2A: narrow the list."""
        chosen, decision = context.services.advisor.image_candidates(
            available.images, plan.analysis(analyzed), plan.placement, wish=request.image
        )
        record(context, decision)
        return ImageCandidates(images=tuple(chosen))

    @stage
    def choose_image(
        self,
        context: StepContext,
        request: RunRequest,
        candidates: ImageCandidates,
        analyzed: AnalyzedRepository,
        plan: Plan,
    ) -> SelectedImage:
        """Stage 2B: read the candidates' details and choose."""
        detailed = [context.services.cloud.image(image.id) for image in candidates.images]
        image, decision = context.services.advisor.image(
            detailed, plan.analysis(analyzed), plan.placement.best.node_type, wish=request.image
        )
        record(context, decision)
        context.label(image=image.name)
        return SelectedImage(image=image)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
