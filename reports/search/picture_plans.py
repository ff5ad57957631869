"""Which of Optuna's pictures a search has, what they are drawn from, and how they are made to say it in our words."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from reports.figures.drawing import COLOURS
from reports.search.look import colour_scale
from reports.search.merged_keys import by_key
from reports.search.optuna_trials import build_study
from reports.search.outcome import candidates
from reports.search.restyling import legend_above, recolour, relabel
from reports.search.trial_records import Searched
from reports.search.wording import objective_words
from runners.contract.objectives import scale_of
from runners.contract.search import Search
from runners.contract.states import JobState
from runners.contract.trials import TrialRecord

# More panels side by side cannot be read.
N_SLICES, N_PARALLEL = 5, 7
# A surface between fewer points would be made of nothing.
FEW_FOR_CONTOUR = 4
# Above, they are painted and not drawn, for a page of many thousand shapes is slow; below, a drawing is smaller.
N_DOTS, N_CURVES, N_LINES = 1000, 150, 5000
_LUCK = "Completed trials. The best so far rises by chance as well: the more trials, the luckier the best."
_COMPLETED, _PRUNED, _FAILED, _BEST, _OTHER = "c1", "c2", "c7", "accent", "faint"
_OF_STATES = {JobState.COMPLETED: _COMPLETED, JobState.REUSED: _COMPLETED, JobState.PRUNED: _PRUNED}
# What Optuna calls states in its legend, and what we do.
_LEGEND = {
    "COMPLETE": ("completed", _COMPLETED),
    "PRUNED": ("pruned", _PRUNED),
    "FAIL": ("failed", _FAILED),
    "INFEASIBLE": ("breaks a limit", "rule"),
    "RUNNING": ("running", "c3"),
    "WAITING": ("waiting", _OTHER),
}


@dataclass(frozen=True)
class PicturePlan:
    """A picture to be drawn.

    Attributes:
        name: for file names.
        title: its heading.
        draw: returns Optuna's axes, one or several.
        adapt: changes the figure that Optuna drew.
        missing: why it cannot be drawn; empty where it can.
        notes: what a reader must know.
        is_wide: whether it takes the whole width of a page.
    """

    name: str
    title: str
    draw: Callable[[], Any]
    adapt: Callable[[Any], None]
    missing: str = ""
    notes: tuple[str, ...] = ()
    is_wide: bool = False


def picture_plans(searched: Searched, importances: Mapping[str, Mapping[str, float]]) -> Iterator[PicturePlan]:
    """Yield the pictures of a search in the order in which they are shown.

    Args:
        searched: the search.
        importances: by objective's metric, dimension's name to its share.
    """
    plans = _Plans(searched, importances.get(searched.search.objectives[0].metric, {}))
    if plans.has_several:
        yield plans.front()
    yield plans.history()
    yield plans.intermediate()
    yield plans.importance()
    yield plans.contour()
    yield plans.timeline()
    yield plans.slices()
    yield plans.parallel()


class _Plans:
    """The pictures of one search.

    Args:
        searched: the search.
        shares: dimension's name to its importance for the first objective.
    """

    def __init__(self, searched: Searched, shares: Mapping[str, float]) -> None:
        self._searched, self._shares = searched, shares
        self._search = searched.search
        self._first = searched.search.objectives[0]
        self._titles = [self._title(one.metric) for one in searched.search.objectives]
        found = candidates(searched)
        self._best = found[0] if found else None

    @property
    def has_several(self) -> bool:
        """Whether there are several objectives."""
        return len(self._search.objectives) > 1

    def front(self) -> PicturePlan:
        """Return the Pareto front."""
        n_objectives = len(self._search.objectives)

        def adapt(figure: Any) -> None:
            (axes,) = figure.axes
            recolour(axes.collections, {"#1f77b4": _OTHER, "#d62728": _BEST, "#cccccc": "rule"})
            relabel(axes, {"Trial": "other trials", "Best Trial": "on the front"})

        study = self._study(self._searched.records)
        return PicturePlan(
            "pareto-front",
            "Pareto front",
            lambda: _optuna().plot_pareto_front(study, target_names=self._titles),
            adapt,
            missing=self._too_few(2) or ("of more than three objectives there is none" if n_objectives > 3 else ""),
            notes=("Single runs: the front knows nothing of noise.",),
        )

    def history(self) -> PicturePlan:
        """Return the values in the order of the trials."""

        def adapt(figure: Any) -> None:
            (axes,) = figure.axes
            recolour(axes.collections, {"#1f77b4": _COMPLETED, "#cccccc": "rule"})
            for line in axes.lines:
                line.set(color=COLOURS[_BEST], alpha=1.0, drawstyle="steps-post")
            axes.set(xlabel="trial", ylabel=self._titles[0])
            axes.xaxis.get_major_locator().set_params(integer=True)
            relabel(axes, {"Best Value": "best so far"}, self._titles[0])
            self._paint(figure, N_DOTS)

        study = self._study(self._searched.own)
        return PicturePlan(
            "history",
            "What trials reached, in their order",
            lambda: _optuna().plot_optimization_history(study, **self._target()),
            adapt,
            missing=self._too_few(2),
            notes=() if self.has_several else (_LUCK,),
        )

    def intermediate(self) -> PicturePlan:
        """Return the curves that pruning was decided by."""
        states = [record for record in self._searched.own if record.curve]

        def adapt(figure: Any) -> None:
            (axes,) = figure.axes
            for line in axes.lines:
                # Optuna leaves out what failed, and tells trials by their place in the study.
                record = states[int(line.get_label().removeprefix("Trial"))]
                is_best = record is self._best
                colour = _BEST if is_best else _OF_STATES.get(record.state, _FAILED if record.reason else _OTHER)
                line.set(
                    color=COLOURS[colour], alpha=1.0 if is_best else 0.55, linewidth=2.6 if is_best else 1.3, zorder=2
                )
                if is_best:
                    line.set_zorder(3)
            axes.set(xlabel="epoch", ylabel=self._title(self._search.prune_by))
            axes.xaxis.get_major_locator().set_params(integer=True)
            known = {
                "completed": (_COMPLETED, any(record.is_complete for record in states)),
                "pruned": (_PRUNED, any(record.state is JobState.PRUNED for record in states)),
                "best": (_BEST, self._best in states),
            }
            legend_above(axes, {word: colour for word, (colour, is_there) in known.items() if is_there}, lines=True)
            self._paint(figure, N_CURVES)

        study = self._study(states)
        return PicturePlan(
            "intermediate",
            f"{self._title(self._search.prune_by)} by epoch",
            lambda: _optuna().plot_intermediate_values(study),
            adapt,
            missing="" if states else "no trial has finished an epoch",
        )

    def importance(self) -> PicturePlan:
        """Return the share of each parameter."""

        def adapt(figure: Any) -> None:
            (axes,) = figure.axes
            for bar in axes.patches:
                bar.set_color(COLOURS[_COMPLETED])
            for share in axes.texts:
                share.set_text(f"\u00a0{share.get_text()}")
            axes.set(xlabel=f"importance for {objective_words(self._first.metric)}", ylabel="")
            axes.grid(axis="y", visible=False)
            axes.get_legend().remove()

        study = self._study(self._searched.records)
        sign = -1 if self._first.is_maximized else 1
        return PicturePlan(
            "importance",
            "What mattered",
            lambda: _optuna().plot_param_importances(
                study, params=list(self._shares), target=lambda trial: sign * trial.values[0], target_name="importance"
            ),
            adapt,
            missing="" if self._shares else self._too_few(2) or "no parameter differs between completed trials",
        )

    def contour(self) -> PicturePlan:
        """Return the first objective over the two parameters that matter most."""
        records = candidates(self._searched)
        pair = next(
            (pair for pair in combinations(self._by_share(), 2) if _n_both(records, pair) >= FEW_FOR_CONTOUR), None
        )

        def adapt(figure: Any) -> None:
            axes, bar = figure.axes
            for shape in axes.collections:
                if shape.get_array() is not None and len(shape.get_array()):
                    shape.set_cmap(colour_scale(self._first.is_maximized))
                else:
                    shape.set(linewidth=0.6)
            bar.set_ylabel(self._titles[0])
            across, upwards = sorted(pair or ("", ""))  # as Optuna lays them, whatever their order
            axes.set(xlabel=across, ylabel=upwards)

        study = self._study(records)
        return PicturePlan(
            "contour",
            f"{self._titles[0]} over the two that mattered most",
            lambda: _optuna().plot_contour(study, params=list(pair or ()), **self._target()),
            adapt,
            missing="" if pair else "no two parameters that differ stand together in enough completed trials",
            notes=("Between the dots nothing was measured.",),
        )

    def timeline(self) -> PicturePlan:
        """Return when each trial ran."""
        records = [record for record in self._searched.own if record.started_at is not None]

        def adapt(figure: Any) -> None:
            from matplotlib import dates

            (axes,) = figure.axes
            recolour(
                axes.patches,
                {"#1f77b4": _COMPLETED, "#d62728": _FAILED, "#ff7f0e": _PRUNED, "#2ca02c": "c3", "#7f7f7f": _OTHER},
            )
            shown = [text.get_text() for text in axes.get_legend().get_texts()]
            legend_above(axes, dict(_LEGEND[word] for word in _LEGEND if word in shown), lines=False)
            formatter: Any = dates.ConciseDateFormatter
            axes.xaxis.set_major_formatter(formatter(axes.xaxis.get_major_locator()))
            axes.tick_params(axis="x", rotation=0)
            axes.set(xlabel="time", ylabel="trial")
            figure.set_layout_engine("constrained")
            axes.grid(axis="y", visible=False)

        study = self._study(records)
        return PicturePlan(
            "timeline",
            "When trials ran",
            lambda: _optuna().plot_timeline(study),
            adapt,
            missing="" if records else "no trial has been started",
            notes=(
                "From a trial's first start to its end, pauses included; by the clock of the machine that drew it.",
            ),
            # Beside the front it has a neighbour.
            is_wide=not self.has_several,
        )

    def slices(self) -> PicturePlan:
        """Return the first objective over each parameter alone."""
        names = self._by_share()[:N_SLICES]

        def adapt(figure: Any) -> None:
            for axes in figure.axes:
                for dots in axes.collections:
                    if dots.get_array() is not None:
                        dots.set_cmap(colour_scale())
                axes.set_ylabel(axes.get_ylabel() and (self._titles[0] if axes is figure.axes[0] else ""))
            for axes in figure.axes[1:-1]:
                axes.set_ylabel("")
            for axes in figure.axes[:-1]:
                # Beside each other there is no room for a key and its conditions in one line.
                axes.set_xlabel(axes.get_xlabel().replace(" (", "\n("))
            figure.axes[-1].set_ylabel("trial")
            self._paint(figure, N_DOTS)

        study = self._study(self._searched.records)
        return PicturePlan(
            "slices",
            f"{self._titles[0]} over each parameter",
            lambda: _optuna().plot_slice(study, params=names, target_name=self._titles[0], **self._value()),
            adapt,
            missing="" if names else self._too_few(2) or "no parameter differs between completed trials",
            is_wide=True,
        )

    def parallel(self) -> PicturePlan:
        """Return a line for each trial through its values; a key's alternatives on one axis."""
        merged, records = by_key(self._search, self._searched.records)
        done = [record for record in records if record.is_complete]
        common = [
            dimension.key
            for dimension in merged.dimensions
            if done and all(dimension.key in record.trial.params for record in done)
            if len({record.trial.params[dimension.key] for record in done}) > 1
        ][:N_PARALLEL]

        def adapt(figure: Any) -> None:
            scale = colour_scale(self._first.is_maximized)
            for axes in figure.axes:
                for lines in axes.collections:
                    if lines.get_array() is not None:
                        lines.set(cmap=scale, linewidth=1.6)
                axes.grid(visible=False)
            figure.axes[0].tick_params(axis="x", rotation=0)
            labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
            figure.axes[0].set_xticks(figure.axes[0].get_xticks(), [self._titles[0], *labels[1:]])
            for axes in figure.axes:
                if axes.get_label() == "<colorbar>":
                    axes.set_ylabel(self._titles[0])
            self._paint(figure, N_LINES)

        study = self._study(records, merged)
        return PicturePlan(
            "parallel",
            "Trials through their values",
            lambda: _optuna().plot_parallel_coordinate(study, params=common, **self._target()),
            adapt,
            missing="" if common else self._too_few(2) or "no parameter that all completed trials have differs",
            notes=("Parameters that all completed trials have.",),
            is_wide=True,
        )

    def _study(self, records: Sequence[TrialRecord], search: Search | None = None) -> Any:
        study = build_study(search or self._search, records, in_points=True)
        study.set_metric_names(self._titles)
        return study

    def _title(self, metric: str) -> str:
        return f"{objective_words(metric)} (points)" if scale_of(metric) > 1 else objective_words(metric)

    def _value(self) -> dict[str, Any]:
        """Return what says which objective is meant, where there are several."""
        return {"target": lambda trial: trial.values[0]} if self.has_several else {}

    def _target(self) -> dict[str, Any]:
        return {**self._value(), "target_name": self._titles[0]}

    def _too_few(self, number: int) -> str:
        n_told = len(candidates(self._searched))
        return f"fewer than {number} trials have a result" if n_told < number else ""

    def _by_share(self) -> list[str]:
        """Return the parameters that differ between completed trials, the most important first."""
        return sorted(self._shares, key=lambda name: -self._shares[name])

    def _paint(self, figure: Any, n_drawn: int) -> None:
        """Have shapes painted within the drawing if there are more than so many trials."""
        if len(self._searched.records) > n_drawn:
            for axes in figure.axes:
                for shape in (*axes.collections, *axes.lines):
                    shape.set_rasterized(True)


def _n_both(records: Sequence[TrialRecord], pair: Sequence[str]) -> int:
    """Return how many trials have two parameters, if each of them differs among these; otherwise 0."""
    both = [record.trial.params for record in records if all(name in record.trial.params for name in pair)]
    return len(both) if all(len({params[name] for params in both}) > 1 for name in pair) else 0


def _optuna() -> Any:
    """Return Optuna's pictures on matplotlib, which take seconds to import."""
    import optuna.visualization.matplotlib

    return optuna.visualization.matplotlib
