"""The tables of docs/en/performance.md are those of the files beside it."""

import json

from mmdiffkd.commands.benchmark import parse_args
from mmdiffkd.engine.benchmark import report


def test_tables_are_of_the_files(checkout):
    page = (checkout / 'docs/en/performance.md').read_text()
    files = sorted((checkout / 'docs/en/performance').glob('*.json'))
    assert files
    for file in files:
        result = json.loads(file.read_text())
        assert report.as_text(result) in page, file.name
        for config in (result['config'], *result['against']):
            assert (checkout / config).is_file()
        assert result['config'] in page


def test_commands_on_the_page_are_understood(checkout):
    page = (checkout / 'docs/en/performance.md').read_text()
    code = page.replace('\\\n', ' ')
    lines = [
        line.split('mmdiffkd benchmark ')[1].split('`')[0]
        for line in code.splitlines()
        if 'mmdiffkd benchmark c' in line
    ]
    assert len(lines) >= 6
    for line in lines:
        args = parse_args(line.split())
        assert (checkout / args.config).is_file(), line
        for other in args.against:
            if '::' not in other:
                assert list(checkout.glob(other)), line
