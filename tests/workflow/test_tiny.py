"""The whole graph at the smallest scale, as a user runs it: a report at the end, after a kill too; nonsense refused."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from browser import CHROMIUM, browser
from workflow_copy import copy_checkout, kill, reproduce, snakemake, start_reproduce

from revision.embeddings import open_embeddings
from revision.embeddings.moments import load_moments, moments

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return copy_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def finished(checkout):
    """The folder after a run that was killed in its middle and then finished by the same command."""
    first = start_reproduce(checkout, "--scale", "tiny")
    try:
        said = ""
        while not re.search("start  (pretrain|finetune)", said):
            said += first.stdout.readline() or pytest.fail(f"the first run came to no stage\n{said[-3000:]}")
    finally:
        kill(first)
    assert not (checkout / "results/tiny/report.html").exists()
    snakemake(checkout, "--unlock")
    done = reproduce(checkout, "--scale", "tiny")
    assert str(checkout / "results/tiny/report.html") in done.stdout
    return checkout / "results/tiny"


@pytest.fixture(scope="module")
def page(finished, tmp_path_factory):
    """The report in Chromium."""
    if CHROMIUM is None:
        pytest.skip("no chromium here (Debian: the package chromium): the report is not looked at in a browser")
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def report(page, finished):
    """The report, loaded anew."""
    page.events.clear()
    page.resize(1200, 900)
    page.open((finished / "report.html").as_uri())
    return page


def test_the_report_holds_every_figure_and_table_and_asks_for_nothing_outside(finished):
    page = (finished / "report.html").read_text(encoding="utf-8")
    figures = {path.stem for path in (finished / "figures").glob("*.json")}
    assert len(figures) >= 20
    for name in figures | {"table_1"}:
        assert f'id="{name.replace("_", "-")}"' in page, name
    assert not re.search(r'src="(?!data:)', page)
    outside = re.findall(r'href="([^#"][^"]*)"', page)
    files = {address for address in outside if address != "https://arxiv.org/abs/2602.07026"}
    assert len(files) > 50 and all((finished / address).is_file() for address in files)
    anchors = set(re.findall(r'href="#([^"]+)"', page))
    assert anchors <= set(re.findall(r'id="([^"]+)"', page))
    assert all(re.search(r'alt="[^"]{10,}"', image) for image in re.findall(r"<img[^>]+>", page))
    assert len(page) < 5_000_000


def test_the_report_says_what_is_beyond_the_paper_and_within_noise(finished):
    page = (finished / "report.html").read_text(encoding="utf-8")
    within = 0
    for path in (finished / "tables").glob("table_*.csv"):
        table = pd.read_csv(path)
        stages = ["stage1", "stage2"] if path.stem == "table_1" else ["stage2"]
        total = table[table.stage.isin(stages) & (table.suite == "average") & (table.group == "all")]
        within += (total.within_noise.astype(str) == "True").sum()
    assert page.count(" within noise</small>") == within > 0
    beyond = page[page.index('id="beyond"') : page.index('id="run"')]
    for name in ("captioning", "dose", "table-text-only", "table-mixtures"):
        assert f'id="{name}"' in beyond
    comparisons = page[page.index('id="comparisons"') :]
    shown = re.findall(r"<tr><td", comparisons[: comparisons.index("</article>")])
    aligners = pd.read_csv(finished / "tables/when_alignment_matters.csv").aligner.nunique()
    assert len(shown) == len(pd.read_csv(finished / "tables/what_can_show.csv")) + aligners


def test_a_browser_has_no_complaint_and_nothing_to_fetch(report, finished):
    assert report.js("document.images.length") >= 20
    assert report.js("[...document.images].every(one => one.naturalWidth > 0)")
    assert report.js("[...document.images].every(one => one.alt.length >= 10)")
    assert report.complaints() == []
    assert set(report.requests()) == {(finished / "report.html").as_uri()}


def test_every_link_of_the_report_leads_somewhere(report):
    links = report.js("[...new Set([...document.querySelectorAll('a')].map(one => one.getAttribute('href')))]")
    assert len(links) > 100
    assert (
        report.js(
            f"{json.dumps([one[1:] for one in links if one[0] == '#'])}.filter(id => !document.getElementById(id))"
        )
        == []
    )


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1200, "dark")])
def test_the_report_fits_the_screen(report, width, scheme):
    report.resize(width, 844, scheme)
    report.js("for (const one of document.querySelectorAll('details')) one.open = true")
    assert report.js("document.documentElement.scrollWidth") <= width
    dark = report.js("getComputedStyle(document.querySelector('nav')).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")


def test_search_finds_a_claim_and_a_deep_link_opens_its_place(report):
    shown = "[...document.querySelectorAll('.claims > li')].filter(one => one.checkVisibility()).map(one => one.id)"
    assert len(report.js(shown)) > 50
    report.js("search.value = 'ISOTROPIC residual'; search.dispatchEvent(new Event('input'))")
    assert report.js(shown) == ["claim-phantom_drift_isotropic"]
    report.js("location.hash = '#claim-gap_exists'; open_target()")
    assert "claim-gap_exists" in report.js(shown)
    report.js("location.hash = '#configuration'; open_target()")
    assert report.js("document.getElementById('configuration').open")
    report.js("document.querySelector('.chips button').click()")
    chosen = report.js("document.querySelector('.chips button').dataset.verdict")
    kept = report.js("[...document.querySelectorAll('.claims > li:not([hidden])')].map(one => one.dataset.verdict)")
    assert set(kept) == {chosen} and kept


def test_the_first_screen_has_the_answer_the_main_figure_and_the_verdicts(report, finished):
    claims = pd.read_csv(finished / "tables/claims.csv")
    for part in ("#answer", ".answer", "#figure-main img", "#verdicts table"):
        assert report.js(f"document.querySelector('{part}').getBoundingClientRect().bottom") < 900, part
    counted = report.js(
        "[...document.querySelectorAll('#verdicts td')].reduce((sum, one) => sum + (+one.innerText || 0), 0)"
    )
    assert counted == claims.second_version_of.isna().sum()
    colours = "[...new Set([...document.querySelectorAll('a.verdict')].map(one => getComputedStyle(one).color))]"
    assert len(report.js(colours)) == 1  # at scale tiny no verdict is a finding


def test_each_claim_stands_with_what_decided_it_and_links_to_its_data(report, finished):
    claims = pd.read_csv(finished / "tables/claims.csv").set_index("id")
    shown = dict(
        report.js("[...document.querySelectorAll('.claims > li')].map(one => [one.id.slice(6), one.textContent])")
    )
    assert shown.keys() == set(claims.index)
    for name, claim in claims.iterrows():
        assert claim.statement in shown[name] and claim.quantity[1:] in shown[name] and claim.bounds in shown[name]
    inside = "[...document.querySelectorAll('#figure-3 .claims > li:not(.second)')].map(one => one.id)"
    assert {"claim-gap_exists", "claim-realign_closes_short"} <= set(report.js(inside))


def test_an_image_opens_larger_without_a_script_and_closes_with_escape(report):
    box, image = "document.querySelector('#figure-3 .zoom input')", "document.querySelector('#figure-3 img')"
    before = report.js(f"{image}.getBoundingClientRect().width")
    report.js(f"{box}.click()")
    assert report.js(f"getComputedStyle({box}.parentElement).position") == "fixed"
    assert report.js(f"{image}.getBoundingClientRect().width") > before
    report.js("dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape'}))")
    assert report.js(f"{image}.getBoundingClientRect().width") == before


def test_scores_come_from_every_suite_method_and_seed(finished):
    table = pd.read_csv(finished / "tables/table_1.csv")
    stage2 = table[table.stage == "stage2"]
    assert set(stage2.method) >= {"blind", "no_align", "c3", "revision", "paired"}
    assert stage2.groupby("method").suite.nunique().eq(12).all()  # eleven suites and their average
    assert (table.encoders == 2).all() and (table.seeds == 1).all()
    assert table.value.between(0, 100).all() and (table.low <= table.value + 1e-9).all()
    answers = pd.concat(pd.read_parquet(path) for path in (finished / "work/answers").glob("*.parquet"))
    for row in stage2[stage2.suite == "count"].itertuples():
        mine = answers[(answers.method == f"stage2/{row.method}") & (answers.suite == "count")]
        assert 100 * mine.correct.mean() == pytest.approx(row.value)


def test_the_tables_follow_from_the_records(finished, tmp_path):
    checkout = finished.parents[1]
    command = [sys.executable, "analysis/recompute.py", "--records", finished / "records"]
    command += ["--published", "config/published.yaml", "--out", tmp_path]
    subprocess.run(command, cwd=checkout, check=True)
    again = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {"table_1.csv", "pairs.csv", "stage1_caption_loss.csv"} <= set(again)
    assert again == {name: (finished / "tables" / name).read_bytes() for name in again}


def test_nothing_is_left_to_do_and_a_dry_run_says_so(finished):
    said = snakemake(finished.parents[1], "-n")
    assert "Nothing to be done" in said.stdout + said.stderr


def test_a_second_run_of_a_rule_gives_the_same_bytes(finished):
    checkout = finished.parents[1]
    work = finished / "work"
    targets = [work / "stage1/revision/encoder1_seed0/projector.safetensors", finished / "figures/figure_3.csv"]
    before = [path.read_bytes() for path in targets]
    rules = ["results/tiny/work/stage1/revision/encoder1_seed0", "results/tiny/figures/figure_3.csv"]
    snakemake(checkout, "--force", "--", *rules, cores=1)
    assert before == [path.read_bytes() for path in targets]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["scale=huge"], r"huge.*laptop.*tiny"),
        (["scale=tiny", "sseeds=[1]"], r"sseeds"),
        (["scale=tiny", "variants={mine: {aligner: magic}}"], r"magic.*realign"),
    ],
)
def test_unknown_configuration_is_named(checkout, words, said):
    command = [sys.executable, "-m", "snakemake", "-n", "--config", *words]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    assert done.returncode and re.search(said, done.stdout + done.stderr, re.S), done.stderr[-2000:]


def test_manifests_say_what_made_them(finished):
    for path in (finished / "work").glob("*/manifest.json"):
        assert json.loads(path.read_text(encoding="utf-8"))["versions"]["revision"]


def test_embedding_by_three_jobs_a_set_gives_what_one_gives(finished, tmp_path):
    one, three = finished / "work", copy_checkout(tmp_path) / "results/tiny/work"
    for part in ("config", "data", "encoder"):
        shutil.copytree(one / part, three / part)
    snakemake(tmp_path, "embed={shards: 3}", "--", "results/tiny/work/aligned/0/realign_text_short")
    for name, parts in (("text_short", 2), ("reference_image", 1)):  # so few rows leave the others empty
        alone, merged = (open_embeddings(work / "embeddings/0" / name) for work in (one, three))
        assert merged.array().tobytes() == alone.array().tobytes() and merged.ids() == alone.ids()
        assert merged.about == alone.about and len(merged.shards) == parts
        merged.verify()
        known, whole = load_moments(three / f"moments/0/{name}.npz", merged), moments(alone, unit=True, covariance=True)
        np.testing.assert_allclose(known.mean, whole.mean, rtol=0, atol=1e-12)
        np.testing.assert_allclose(known.covariance, whole.covariance, rtol=0, atol=1e-12)
    aligned = [open_embeddings(work / "aligned/0/realign_text_short").array() for work in (one, three)]
    np.testing.assert_allclose(aligned[1], aligned[0], rtol=0, atol=1e-7)
