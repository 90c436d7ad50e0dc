# Copyright (c) mmdiffkd contributors.
"""The site is built without a warning, and its local links lead somewhere."""

import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest


class Page(HTMLParser):
    """What a page links to, and what can be linked to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.formulas = 0
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.formulas += tag == 'math'
        for name, value in attrs:
            if name in ('href', 'src') and value:
                self.links.add(value)
            elif name == 'id' and value:
                self.anchors.add(value)


@pytest.fixture(scope='module')
def site(checkout, tmp_path_factory):
    """Every page of a build, by its path."""
    out = tmp_path_factory.mktemp('site') / 'out'
    done = subprocess.run(
        ['bash', checkout / 'tools/build_docs.sh', out],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert done.stdout.strip() == str(out / 'index.html')
    return {path: Page(path) for path in out.rglob('*.html')}


def broken(pages: dict[Path, Page]) -> list[str]:
    """Local links to a file or an anchor that is not there."""
    found = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path
            if parts.path:
                target = (path.parent / unquote(parts.path)).resolve()
            anchor = unquote(parts.fragment)
            if not target.is_file():
                found.append(f'{path}: {link} is no file')
            elif (
                anchor
                and target in pages
                and anchor not in pages[target].anchors
            ):
                found.append(f'{path}: {link} is no anchor')
    return found


@pytest.mark.slow
def test_local_links_lead_somewhere(site):
    assert len(site) > 15
    assert not broken(site)


@pytest.mark.slow
def test_every_page_of_the_docs_is_in_the_site(site, checkout):
    (out,) = {path for path in site if path.name == 'index.html'} - {
        path for path in site if path.parent.name == 'en'
    }
    for page in (checkout / 'docs/en').rglob('*.md'):
        name = page.relative_to(checkout).with_suffix('.html')
        assert out.parent / name in site, page


@pytest.mark.slow
def test_formulas_of_docstrings_are_typeset(site):
    (api,) = (
        page for path, page in site.items() if path.match('api/diffusion.html')
    )
    assert api.formulas > 10


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / 'a.html').write_text(
        '<a href="b.html#here">1</a><a href="b.html#gone">2</a>'
        '<a href="gone.html">3</a><a href="https://x.org/gone">4</a>'
    )
    (tmp_path / 'b.html').write_text('<p id="here">')
    pages = {path: Page(path) for path in tmp_path.glob('*.html')}
    assert sorted(line.split(': ')[1] for line in broken(pages)) == [
        'b.html#gone is no anchor',
        'gone.html is no file',
    ]


@pytest.mark.parametrize('words', [['--bad'], ['a', 'b'], ['docs']])
def test_a_wrong_call_is_one_line(words, checkout):
    done = subprocess.run(
        ['bash', 'tools/build_docs.sh', *words],
        cwd=checkout,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith('build_docs.sh: error: ')
    assert len(done.stderr.splitlines()) == 1
