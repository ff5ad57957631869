"""The part of a report that is about a search: sentence, tables, saved compute, pictures, page, Markdown, CSV."""

import dataclasses
import re
from pathlib import Path

import pytest

from reports.read import read_runs
from reports.search.decision import search_sentence
from reports.search.outcome import candidates, count, spent
from reports.search.section import search_sections
from reports.search.tables import search_tables
from reports.search.trial_records import Searched, find_searches
from reports.sweep_report import Report, write_report
from reports.table import Table
from runners.contract.states import JobState
from runners.contract.trial_ranking import front
from runners.contract.trials import Trial, TrialRecord
from tests.reports.search.search_writing import N_EPOCHS, point, usual_jobs, write_search, written_trial
from tests.reports.sweep_writing import EPOCH_S, WrittenJob

AP = "val/bbox_mAP_50"
EARLIER = TrialRecord(Trial(1, point(1), "warm", run="f" * 32), state=JobState.COMPLETED, values={AP: 0.5})


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of a search with pruned, failed and warm trials, under hostile names."""
    folder = write_search(
        tmp_path_factory.mktemp("search"), usual_jobs(14), warm=[EARLIER], name="<script>alert(1)</script> $x$"
    )
    return write_report(folder, folder.report)


def searched_of(tmp_path: Path, jobs: list[WrittenJob], **more: object) -> Searched:
    """Write a search and read it back."""
    (searched,), _ = find_searches(read_runs(write_search(tmp_path, jobs, **more)))  # type: ignore[arg-type]
    return searched


def table(tables: list[Table] | tuple[Table, ...], name: str) -> Table:
    """Return a table by its name."""
    return next(one for one in tables if one.name == name)


def texts(one: Table) -> list[list[str]]:
    """Return the texts of a table's cells."""
    return [[cell.text for cell in row.cells] for row in one.rows]


def test_the_sentence_says_what_the_best_is_and_that_it_is_no_verdict(tmp_path: Path) -> None:
    searched = searched_of(tmp_path, usual_jobs(6))
    best = candidates(searched)[0]
    told = search_sentence(searched)
    n_done, n_pruned = len(candidates(searched)), sum(one.state is JobState.PRUNED for one in searched.own)
    assert n_pruned
    of_many = f"best of {n_done + n_pruned} trials, {n_done} of them trained to the end, is trial {best.trial.number} "
    assert f"{of_many}(optimizer=adamw" in told
    assert f"{100 * best.values[AP]:.1f} val mAP50" in told
    gain = 100 * (best.values[AP] - searched.own[0].values[AP])
    assert f"({gain:+.1f} points)" in told
    assert "looks better than it is: this is no verdict" in told


def test_the_sentence_leads_to_the_confirmation_where_there_is_one(tmp_path: Path) -> None:
    searched = searched_of(tmp_path, usual_jobs(6), origins={5: "confirm"})
    assert search_sentence(searched).endswith("what counts is its confirmation.")


def test_a_default_that_nothing_beats_stays(tmp_path: Path) -> None:
    searched = searched_of(tmp_path, [written_trial(0), written_trial(15)])
    assert search_sentence(searched).startswith("Search optimizer: none of 2 trials is ahead of the default, ")


def test_a_search_without_a_result_says_so(tmp_path: Path) -> None:
    searched = searched_of(tmp_path, [written_trial(0, failure="loss is NaN")])
    assert search_sentence(searched) == "Search optimizer: no trial has a result yet (1 failed)."
    (section,), _ = search_sections(read_runs_of(searched, tmp_path))
    assert section.commands == ()
    assert len(section.pictures) + len(section.left_out) == 7
    assert section.left_out


def read_runs_of(searched: Searched, output_dir: Path):  # type: ignore[no-untyped-def]
    """Read the runs of a written search again."""
    from runners.contract.folder import SweepFolder

    return read_runs(SweepFolder(output_dir / searched.sweep.sweep_id))


def test_trials_that_break_a_limit_are_not_the_best(tmp_path: Path) -> None:
    slow = dataclasses.replace(written_trial(14), settings={**written_trial(14).settings, "n_epochs": 2 * N_EPOCHS})
    limit = {"cost/wall_s": {"max": N_EPOCHS * EPOCH_S + 1}}
    searched = searched_of(tmp_path, [written_trial(0), written_trial(2), slow], constraints=limit)
    strongest = max((record for record in searched.own), key=lambda record: record.values[AP])
    assert not strongest.is_feasible
    assert strongest not in candidates(searched)
    assert count(searched).infeasible == 1
    rows = texts(table(search_tables(searched, {}), "trials"))
    assert rows[-1][-1] == f"breaks a limit: training time (s) by {N_EPOCHS * EPOCH_S - 1:.4g}"


def test_pruning_saves_the_epochs_that_were_not_trained(tmp_path: Path) -> None:
    jobs = [written_trial(0), written_trial(1, n_epochs=3), written_trial(2, n_epochs=2, failure="loss is NaN")]
    told = spent(searched_of(tmp_path, jobs))
    assert told.epochs == N_EPOCHS + 3 + 2
    assert told.all_epochs == 2 * N_EPOCHS + 2
    assert told.hours == pytest.approx((N_EPOCHS + 3 + 2) * EPOCH_S / 3600)
    assert told.share_saved == pytest.approx(9 / (2 * N_EPOCHS + 2))
    assert told.device == "CPU"


def test_several_objectives_have_a_front(tmp_path: Path) -> None:
    objectives = {AP: "maximize", "cost/wall_s": "minimize"}
    short = dataclasses.replace(written_trial(1), settings={**written_trial(1).settings, "n_epochs": 6})
    worse = dataclasses.replace(written_trial(5), settings={**written_trial(5).settings, "n_epochs": 6})
    searched = searched_of(
        tmp_path, [written_trial(0), short, worse, written_trial(14)], objectives=objectives, pruner="none"
    )
    assert [record.trial.number for record in front(searched.search, searched.records)] == [3, 1]
    assert search_sentence(searched).startswith("Search optimizer: 2 of 4 trials on the Pareto front, ")
    assert len(table(search_tables(searched, {}), "search-front").rows) == 2
    (section,), _ = search_sections(read_runs_of(searched, tmp_path))
    assert section.pictures[0].name == "search-pareto-front"


def test_the_table_has_every_trial_and_says_what_became_of_it(report: Report) -> None:
    (section,) = report.searches
    rows = texts(table(section.tables, "trials"))
    assert len(rows) == 15
    values = [float(row[6]) for row in rows if row[8] == "completed"]
    assert values == sorted(values, reverse=True)
    pruned = next(row for row in rows if row[8] == "pruned")
    assert pruned[6].endswith(" so far")
    assert pruned[9].startswith("below the best third at epoch ")
    assert any(row[1] == "earlier" for row in rows)
    assert any(row[8] == "failed" and row[9] == "loss is NaN at iteration 118" for row in rows)


def test_all_pictures_of_a_search_are_drawn(report: Report) -> None:
    (section,) = report.searches
    names = ["history", "intermediate", "importance", "contour", "timeline", "slices", "parallel"]
    assert [picture.name for picture in section.pictures] == [f"search-{name}" for name in names]
    assert section.left_out == ()
    for picture in section.pictures:
        assert (report.page.parent / "figures" / f"{picture.name}.png").read_bytes().startswith(b"\x89PNG")
        assert (report.page.parent / "figures" / f"{picture.name}.svg").is_file()
        assert 'style="' not in picture.svg
        assert 'aria-label="' in picture.svg


def test_names_of_others_do_nothing_and_nothing_is_fetched(report: Report) -> None:
    page = report.page.read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert re.findall(r"https?:|@import", re.sub(r"base64,[\w+/=\s]+", "", page)) == []
    assert "mathdefault" not in page


def test_ids_in_the_page_are_unique(report: Report) -> None:
    ids = re.findall(r' id="([^"]+)"', report.page.read_text(encoding="utf-8"))
    assert len(ids) == len(set(ids))


def test_the_first_screen_leads_with_the_search_and_says_how_to_go_on(report: Report) -> None:
    assert report.screen.decisions == [report.searches[0].sentence]
    assert report.screen.commands[0].command.endswith("search.confirm=3")
    assert "seed=1,2,3" in report.screen.commands[1].command
    assert "search=" not in report.screen.commands[1].command
    assert not any("pruned" in line for line in report.screen.open)
    assert "search.confirm=3" in report.screen.open[0]


def test_markdown_and_csv_have_the_tables(report: Report) -> None:
    markdown = report.markdown.read_text(encoding="utf-8")
    for title in ("Trials of", "What mattered in", "What pruning saved in"):
        assert f"## {title}" in markdown
    assert "figures/search-history.png" in markdown
    csv = (report.page.parent / "trials.csv").read_text(encoding="utf-8").splitlines()
    assert csv[0].startswith("trial,job,optimizer,lr,momentum,weight_decay,val mAP50,epochs,state,reason")
    assert len(csv) == 16


def test_a_report_of_a_search_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = write_search(tmp_path, usual_jobs(5))
    write_report(folder, folder.report)
    assert capfd.readouterr() == ("", "")
