"""Whether the images of a data set can be read, and are as large as the annotations say."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, UnidentifiedImageError

from runners.contract.coco import CocoFile, SplitFiles
from runners.contract.findings import Findings, count, examples, no_findings

_ORIENTATION_TAG = 0x0112  # EXIF
_TURNED_BY_A_QUARTER = (5, 6, 7, 8)
# What both Pillow and OpenCV, which training reads with, understand.
_FORMATS = ("JPEG", "MPO", "PNG", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000")
# How a complete file of the two usual formats ends; JPEG files may carry a few more bytes behind it.
_ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
_N_END_BYTES = 64
_N_READERS = 8


class ImageHeader(NamedTuple):
    """One image file, as training would see it.

    Attributes:
        fault: why it cannot be used, or empty.
        width, height: in pixels, after its EXIF rotation, which MMDetection applies; 0 where it cannot be read.
        orientation: the EXIF orientation, 1 where it is upright.
    """

    fault: str
    width: int = 0
    height: int = 0
    orientation: int = 1


def read_header(path: Path) -> ImageHeader:
    """Read an image's header, and enough of the rest to see that the file is complete."""
    if not path.is_file():
        return ImageHeader("missing")
    if path.stat().st_size == 0:
        return ImageHeader("0 bytes")
    try:
        with Image.open(path, formats=None) as image:
            if image.format not in _FORMATS:
                return ImageHeader(f"format {image.format}")
            # Asking Pillow for the tags of a PNG without them would decode it all.
            orientation = int(image.getexif().get(_ORIENTATION_TAG, 1)) if "exif" in image.info else 1
            width, height = image.size
            if not _ends_well(path, image.format):
                image.load()
    except UnidentifiedImageError:
        return ImageHeader("not an image")
    except Image.DecompressionBombError:
        return ImageHeader("too many pixels")
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        return ImageHeader(f"damaged: {error}")
    if orientation in _TURNED_BY_A_QUARTER:
        width, height = height, width
    return ImageHeader("", width, height, orientation)


def read_headers(coco: CocoFile, files: SplitFiles) -> list[ImageHeader]:
    """Read the header of every image that an annotation file names, in its order."""
    # Mostly waiting for the disk: threads help even where there is one core.
    with ThreadPoolExecutor(_N_READERS) as readers:
        return list(readers.map(read_header, (files.image_path(image) for image in coco.images)))


def is_broken(header: ImageHeader) -> bool:
    """Whether the file is there and cannot be read."""
    return header.fault not in ("", "missing")


def check_images(coco: CocoFile, files: SplitFiles) -> Findings:
    """Check every image that an annotation file names.

    Args:
        coco: the file, its records already found sound.
        files: where the images lie.
    """
    folder_setting = f"{files.setting}.image_dir"
    if not files.image_dir.is_dir():
        reason = "not a folder" if files.image_dir.exists() else "no such folder"
        return Findings([f"image folder missing in {folder_setting}: {files.image_dir} ({reason}); mend the path"], [])
    found = no_findings()
    headers = list(zip(coco.images, read_headers(coco, files), strict=True))
    where = f"{files.image_dir} ({folder_setting})"

    missing = [image["file_name"] for image, header in headers if header.fault == "missing"]
    if missing:
        of = f"{len(missing)} of {count(len(headers), 'image')}"
        found.problems.append(f"image missing in {where}: {of} ({examples(missing)}); add them or mend the paths")
    broken = [f"{image['file_name']}: {header.fault}" for image, header in headers if is_broken(header)]
    if broken:
        of = f"{len(broken)} of {count(len(headers), 'image')}"
        fix = "replace them, or leave them out with dataset.skip_broken_images=true"
        found.problems.append(f"image cannot be read in {where}: {of} ({examples(broken)}); {fix}")
    readable = [(image, header) for image, header in headers if not header.fault]
    resized = [_two_sizes(image, header) for image, header in readable if not _is_as_said(image, header)]
    if resized:
        found.problems.append(
            f"image size differs from the file in {coco.path}: {count(len(resized), 'image')} ({examples(resized)}); "
            "write the file's size, boxes in the same pixels"
        )
    # A half turn or a mirror leaves the size as it is, so that only a person can tell which picture was labelled.
    turned = [image["file_name"] for image, header in readable if header.orientation in (2, 3, 4)]
    if turned:
        found.warnings.append(
            f"{count(len(turned), 'image')} in {where} ({examples(turned)}) are turned or mirrored by their EXIF tag; "
            "training sees them turned, so the boxes have to be too"
        )
    return found


def _ends_well(path: Path, image_format: str) -> bool:
    if image_format not in _ENDS:
        return False
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _N_END_BYTES))
        return _ENDS[image_format] in file.read()


def _is_as_said(image: Mapping[str, Any], header: ImageHeader) -> bool:
    return bool(image["width"] == header.width and image["height"] == header.height)


def _two_sizes(image: Mapping[str, Any], header: ImageHeader) -> str:
    turned = " after its EXIF rotation" if header.orientation in _TURNED_BY_A_QUARTER else ""
    said, is_now = f"{image['width']}x{image['height']}", f"{header.width}x{header.height}"
    return f"{image['file_name']}: JSON {said}, file {is_now}{turned}"
