"""Regions of a photo in one synchronous call, for notebooks and measurements."""

from collections.abc import Sequence

from PIL import Image

from visualsearch.encoders.protocol import Encoder
from visualsearch.search.look.boxes import crop
from visualsearch.search.look.prompts import PromptDetector, prompts_of
from visualsearch.search.look.regions import Detector, Photo, Proposal, Region
from visualsearch.search.look.taxonomy import Taxonomy, read_look_categories
from visualsearch.types import FloatArray


def prompt_detector(encoder: Encoder, taxonomy: Taxonomy | None = None) -> PromptDetector:
    """Return the built-in detector for an encoder, by default with the built-in taxonomy."""
    taxonomy = taxonomy or read_look_categories()
    return PromptDetector(taxonomy, encoder.encode_texts(prompts_of(taxonomy)))


def regions_of(
    image: Image.Image, encoder: Encoder, detector: Detector, most: int = 8
) -> list[Region]:
    """Return at most `most` regions of an upright RGB photo, best first."""
    photo = Photo(image, encoder.encode_images([image])[0])
    proposals = detector.propose(photo)
    return detector.choose(photo, proposals, crops_of(photo, proposals, encoder), most)


def crops_of(photo: Photo, proposals: Sequence[Proposal], encoder: Encoder) -> FloatArray:
    """Return the vectors of the proposals' crops: unit rows of shape (proposals, dim)."""
    return encoder.encode_images([crop(photo.image, proposal.box) for proposal in proposals])
