"""Regions of a photo in one call, for notebooks and measurements: no deadline, no other queries."""

from collections.abc import Sequence

from PIL import Image

from visualsearch.encoders.protocol import Encoder
from visualsearch.search.look.boxes import crop
from visualsearch.search.look.prompts import PromptDetector, prompts_of
from visualsearch.search.look.regions import Detector, Photo, Proposal, Region
from visualsearch.search.look.taxonomy import Taxonomy, read_look_categories
from visualsearch.types import FloatArray


def prompt_detector(encoder: Encoder, taxonomy: Taxonomy | None = None) -> PromptDetector:
    """Return the built-in detector for an encoder, by default with the things that we know."""
    taxonomy = taxonomy or read_look_categories()
    return PromptDetector(taxonomy, encoder.encode_texts(prompts_of(taxonomy)))


def regions_of(
    image: Image.Image, encoder: Encoder, detector: Detector, most: int = 8
) -> list[Region]:
    """Return at most `most` things in an RGB photo the right way up, best first."""
    photo = Photo(image, encoder.encode_images([image])[0])
    proposals = detector.propose(photo)
    return detector.choose(photo, proposals, crops_of(photo, proposals, encoder), most)


def crops_of(photo: Photo, proposals: Sequence[Proposal], encoder: Encoder) -> FloatArray:
    """Return unit rows of shape (proposals, dim): what each box shows."""
    return encoder.encode_images([crop(photo.image, proposal.box) for proposal in proposals])
