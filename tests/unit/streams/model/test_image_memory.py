"""What decoding takes of memory: little, known before, and no fault of the image when missing."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, features

from tests.unit.visualsearch.encoders.test_images import encoded
from visualsearch.encoders.images import decode_image, decode_memory
from visualsearch.errors import ImageError

SIDE = 3_000
SLACK = 30 * 2**20
CASES: dict[str, tuple[str, str, dict[str, object]]] = {
    "png-rgb": ("RGB", "PNG", {"compress_level": 1}),
    "png-rgba": ("RGBA", "PNG", {"compress_level": 1}),
    "png-la": ("LA", "PNG", {"compress_level": 1}),
    "png-p": ("P", "PNG", {"compress_level": 1}),
    "png-16": ("I;16", "PNG", {"compress_level": 1}),
    "png-1": ("1", "PNG", {}),
    "gif": ("P", "GIF", {}),
    "webp": ("RGB", "WEBP", {"method": 0}),
    "webp-alpha": ("RGBA", "WEBP", {"method": 0, "lossless": True}),
    "tiff": ("RGB", "TIFF", {"compression": "tiff_deflate"}),
    "jpeg": ("RGB", "JPEG", {}),
    "jpeg-progressive": ("RGB", "JPEG", {"progressive": True, "subsampling": 0}),
    "jpeg2000": ("RGB", "JPEG2000", {"num_resolutions": 6}),
}
if features.check("avif"):
    CASES["avif"] = ("RGB", "AVIF", {"speed": 10})
PER_PIXEL = {"webp": 18, "webp-alpha": 18, "avif": 20, "jpeg": 2, "jpeg2000": 3}  # else 8

PROGRAM = """
import json, resource, sys
from pathlib import Path
from visualsearch.encoders.images import decode_image

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024

def outcome(data):
    try:
        decode_image(data, 640)
    except Exception as error:
        return type(error).__name__
    return "decoded"

files = {path.name: path.read_bytes() for path in Path(sys.argv[1]).iterdir()}
for name, data in files.items():  # all libraries are loaded
    decode_image(data, 640)
peaks = {}
for name, data in files.items():
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = status("VmRSS")
    decode_image(data, 640)
    peaks[name] = status("VmHWM") - before
limit = status("VmSize") + 4 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print(json.dumps([peaks, {name: outcome(data) for name, data in files.items()}]))
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of images of 9 megapixels in one color, and few bytes."""
    folder = tmp_path_factory.mktemp("images")
    for name, (mode, form, options) in CASES.items():
        image = Image.new("RGB", (SIDE, SIDE), (200, 30, 40))
        image = Image.new(mode, (SIDE, SIDE), 9) if mode == "I;16" else image.convert(mode)
        (folder / name).write_bytes(encoded(image, form, **options))
    return folder


@pytest.fixture(scope="module")
def measured(files: Path) -> tuple[dict[str, int], dict[str, str]]:
    """Give the peak of each decode, and what becomes of it without memory."""
    import json

    if sys.platform != "linux":
        pytest.skip("needs /proc/self/clear_refs")
    printed = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(files)], capture_output=True, text=True, check=True
    ).stdout
    peaks, outcomes = json.loads(printed)
    return peaks, outcomes


@pytest.mark.parametrize("name", CASES)
def test_a_decode_takes_what_its_header_told(
    name: str, files: Path, measured: tuple[dict[str, int], dict[str, str]]
) -> None:
    """In every mode: no more than was reserved for it, and that is bounded by its pixels."""
    reserved = decode_memory((files / name).read_bytes(), 640)
    assert measured[0][name] <= reserved + SLACK
    assert reserved <= PER_PIXEL.get(name, 11) * SIDE * SIDE + SLACK


def test_a_lack_of_memory_is_no_fault_of_the_image(
    measured: tuple[dict[str, int], dict[str, str]],
) -> None:
    """Decoders call it damage; what fits into the memory that is left is decoded."""
    outcomes = measured[1]
    assert set(outcomes.values()) <= {"MemoryError", "decoded"}
    for name in ("png-rgba", "webp", "webp-alpha", "tiff", "jpeg-progressive"):
        assert outcomes[name] == "MemoryError"


def test_a_small_file_of_many_pixels_is_refused_by_its_header() -> None:
    """Where its decoder would take over a gigabyte."""
    data = encoded(Image.new("RGB", (8_900, 8_900)), "WEBP", method=0)
    assert len(data) < 500_000
    with pytest.raises(ImageError, match="8900 x 8900") as caught:
        decode_image(data)
    assert caught.value.code == "image_too_many_pixels"


def test_a_jpeg_counts_by_the_pixels_of_its_draft() -> None:
    """Cameras of 108 megapixels are read at an eighth of their size."""
    data = encoded(Image.new("L", (16_320, 12_240), 90), "JPEG")
    assert decode_image(data, 640).size == (640, 480)
    assert decode_memory(data, 640) < 16 * 2**20


def test_a_jpeg_in_several_scans_counts_by_all_its_pixels() -> None:
    """Its decoder keeps every coefficient, whatever the draft."""
    data = encoded(Image.new("L", (16_320, 12_240), 90), "JPEG", progressive=True)
    assert decode_memory(data, 640) > 2 * 16_320 * 12_240


def test_an_icon_counts_by_what_is_in_it() -> None:
    """Its directory may tell any size."""
    icon = encoded(Image.new("RGBA", (32, 32)), "ICO", sizes=[(32, 32)])
    inner = encoded(Image.new("1", (20_000, 9_000)), "PNG")
    with pytest.raises(ImageError) as caught:
        decode_image(icon[:22] + inner)
    assert caught.value.code == "image_too_many_pixels"
