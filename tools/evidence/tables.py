"""The paper's tables and their rows."""
import json
from pathlib import Path
from typing import Dict

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
ABLATIONS = CONFIGS / 'cast/ablations'
PEERS = CONFIGS / 'peers/peers.json'


def load_tables() -> dict:
    """The paper's tables, see tables.json beside the rows, and the peers."""
    data = json.loads((ABLATIONS / 'tables.json').read_text())
    other = json.loads(PEERS.read_text())
    for name, table in other['tables'].items():
        data['tables'][name] = dict(
            table, source=other['source'], figures=other['figures'])
    return data


def peers() -> Dict[str, dict]:
    """The rows that have a config for each profile, by name."""
    return {
        row['config']: row
        for table in json.loads(PEERS.read_text())['tables'].values()
        for row in table['rows']
    }
