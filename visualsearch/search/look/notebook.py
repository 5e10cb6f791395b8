"""Regions of a photo in one call, for notebooks and measurements: no deadline, no other queries."""

from PIL import Image

from visualsearch.encoders.protocol import Encoder
from visualsearch.search.look.boxes import crop
from visualsearch.search.look.prompts import PromptDetector, prompts_of
from visualsearch.search.look.regions import Detector, Photo, Region
from visualsearch.search.look.taxonomy import Taxonomy, read_taxonomy


def prompt_detector(encoder: Encoder, taxonomy: Taxonomy | None = None) -> PromptDetector:
    """Return the built-in detector for an encoder, by default with the things that we know."""
    taxonomy = taxonomy or read_taxonomy()
    return PromptDetector(taxonomy, encoder.encode_texts(prompts_of(taxonomy)))


def regions_of(
    image: Image.Image, encoder: Encoder, detector: Detector, most: int = 8
) -> list[Region]:
    """Return at most `most` things in an RGB photo the right way up, best first."""
    photo = Photo(image, encoder.encode_images([image])[0])
    proposals = detector.propose(photo)
    vectors = encoder.encode_images([crop(image, proposal.box) for proposal in proposals])
    return detector.choose(photo, proposals, vectors, most)
