"""Writes the study of a search into a storage of Optuna's, where its dashboard and its own functions find it."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from reports.folders import read_sweep
from reports.mlflow_runs import SQLITE, shown
from reports.search.trial_records import Searched, find_searches
from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder

FILE = "study.db"
POSTGRESQL = "postgresql"
# What people type for the one driver that is installed with us.
_DRIVER = "postgresql+psycopg"
_ALIASES = (POSTGRESQL, "postgres")


@dataclass(frozen=True)
class ExportedStudy:
    """A study that was written.

    Attributes:
        name: of the study in its storage.
        n_trials: that it holds.
        url: of the storage, as Optuna takes it; with the password, if there was one.
    """

    name: str
    n_trials: int
    url: str

    @property
    def shown_url(self) -> str:
        """The address without the password."""
        return shown(self.url)


def find_searched(sweep: SweepFolder) -> Searched:
    """Return the search that a sweep is.

    Raises:
        UserError: it is none, or cannot be read.
    """
    found, problems = find_searches(read_sweep(sweep))
    if problems:
        raise UserError(problems[0])
    if not found:
        raise UserError(f"no search in sweep {sweep.sweep_id}: its jobs were planned; train with search=optimizer asks")
    return found[0]


def export_file(searched: Searched, path: Path) -> ExportedStudy:
    """Write a study into a SQLite file of its own, in place of an older one; the folder is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    told = export_study(searched, f"{SQLITE}{part}")
    part.replace(path)
    return ExportedStudy(told.name, told.n_trials, f"{SQLITE}{path}")


def export_study(searched: Searched, url: str, replace: bool = False) -> ExportedStudy:
    """Write a study, named as its sweep, into a database; half a study is never left there.

    Args:
        searched: the search.
        url: ``sqlite:///file.db`` or ``postgresql://user:password@host/database``.
        replace: whether a study of that name is written anew.

    Raises:
        UserError: the database is of another kind or cannot be used, its driver is missing, or it has such a study.
    """
    url = storage_url(url)
    # Optuna takes a second to import.
    from sqlalchemy.exc import SQLAlchemyError

    from reports.search.optuna_trials import build_study, delete_study, opened_storage, study_names

    name, where = searched.sweep.sweep_id, f"storage in {shown(url)}"
    try:
        with opened_storage(url) as storage:
            if name in study_names(storage):
                if not replace:
                    raise UserError(f"{where}: it has a study {name}; say replace=true, or name another storage")
                delete_study(storage, name)
            try:
                build_study(searched.search, searched.records, storage, name)
            except BaseException:
                if name in study_names(storage):
                    delete_study(storage, name)
                raise
    except ImportError as error:
        raise UserError(f"{where}: no driver ({error}); pip install 'detsweep[postgresql]'") from None
    except (SQLAlchemyError, RuntimeError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0].replace(url, shown(url))
        raise UserError(f"{where}: {said}; is the address right, and the server up?") from None
    return ExportedStudy(name, len(searched.records), url)


def storage_url(url: str) -> str:
    """Return an address of a storage as SQLAlchemy takes it.

    Raises:
        UserError: it is of another kind, or its folder is missing.
    """
    scheme, separator, rest = url.partition("://")
    choices = "sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    if scheme == "sqlite" and url.startswith(SQLITE) and (path := url.removeprefix(SQLITE)):
        folder = Path(path).expanduser().absolute().parent
        if not folder.is_dir():
            raise UserError(f"storage in {url}: no folder {folder}; make it, or name another")
        return f"{SQLITE}{Path(path).expanduser().absolute()}"
    if separator and scheme in _ALIASES and urlsplit(url).path.strip("/"):
        return f"{_DRIVER}://{rest}"
    if separator and scheme.partition("+")[0] == POSTGRESQL and urlsplit(url).path.strip("/"):
        return url
    raise UserError(f"storage in detsweep study: {shown(url)}; choices: {choices}")


def dashboard_url(url: str) -> str:
    """Return an address as it may be shown: with the user, and a sign where a password is to be put in."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:PASSWORD@{host}"))
