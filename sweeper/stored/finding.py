"""Finding a sweep by what people call it."""

from pathlib import Path

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder


def find_sweep(name: str | None, output_dir: Path) -> SweepFolder:
    """Return a sweep's folder by its path, its id or the name in its id; the newest one without a name.

    Raises:
        UserError: there is none of that name.
    """
    if name and Path(name, "sweep.yaml").is_file():
        return SweepFolder(Path(name).absolute())
    sweeps = sorted(path.parent for path in output_dir.glob("*/sweep.yaml"))
    if name:
        sweeps = [path for path in sweeps if name in (path.name, path.name.split("_", 1)[-1].rpartition("_")[0])]
    if not sweeps:
        found = f"none called '{name}'" if name else "none"
        raise UserError(f"sweep in {output_dir}: found {found}; run one first, or say output_dir=FOLDER")
    return SweepFolder(sweeps[-1])
