"""``detsweep study``: writes the study of a search where Optuna's dashboard opens it."""

import shlex
from collections.abc import Sequence

from rich.text import Text

from runners.contract.errors import UserError
from sweeper.project.places import asked_output_dir
from sweeper.stored.finding import find_sweep
from sweeper.verbs.report import open_console

# key -> what it is when it is not given
KEYS = {"storage": "", "replace": "false", "output_dir": ""}


def run_study(words: Sequence[str]) -> int:
    """Carry ``detsweep study [SWEEP] [storage=URL] [replace=true]`` out.

    Raises:
        UserError: no such sweep, it is no search, or the storage cannot be used.
    """
    names, values = [], dict(KEYS)
    for word in words:
        key, separator, value = word.partition("=")
        if not separator:
            names.append(word)
        elif key in KEYS:
            values[key] = value
        else:
            # An address among the words may hold a password, so the line is not repeated.
            raise UserError(f"no setting '{key}' in detsweep study; settings are {', '.join(KEYS)}")
    if len(names) > 1:
        raise UserError(f"sweep in detsweep study {' '.join(names)}: {len(names)} given; name one")
    if values["replace"] not in ("true", "false"):
        raise UserError(f"value in detsweep study: replace={values['replace']}; true or false")
    sweep = find_sweep(names[0] if names else None, asked_output_dir(words))

    from reports.search.study_export import FILE, dashboard_url, export_file, export_study, find_searched

    searched = find_searched(sweep)
    if values["storage"]:
        done = export_study(searched, values["storage"], values["replace"] == "true")
    else:
        done = export_file(searched, sweep.report / FILE)
    console = open_console()
    console.print(Text(f"wrote study {done.name} with {done.n_trials} trials: {done.shown_url}"), soft_wrap=True)
    console.print(Text(f"open it: optuna-dashboard {shlex.quote(dashboard_url(done.url))}"), soft_wrap=True)
    return 0
