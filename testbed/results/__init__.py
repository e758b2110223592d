"""From a run directory to tables, verdicts, figures and pages. Needs no network and no root."""
