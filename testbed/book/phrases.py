"""Words on the book's pages around what experiments say; the catalogue translates them."""

BOOK = "The book"
INTRODUCTION = (
    "One page per experiment, made from its code and from a real run. Each sentence of the "
    "textbook is a claim; its verdict comes from the packets. Chapters follow the course."
)
TO_COME = "still to come"
SECTIONS = "course section"
NO_RUN = "not run here yet"
RUN_IT = "Run it yourself"
NETWORK = "The network"
SCENARIOS = "scenarios"
OTHER_NETWORKS = "the other scenarios' networks"
CLAIMS = "What the textbook says, and what the packets say"
CLAIMS_ALONE = "What it claims"
OBSERVED = "observed"
EXPECTED = "expected"
SHOWN_BY = "shown by"
CAPTURE = "capture"
PACKETS = "packets"
IN_REPORT = "in the report"
FIGURES = "Figures"
PARAMETERS = "All parameters"
OPTION, DEFAULT, ALLOWED, MEANING = "option", "default", "allowed", "meaning"
THIS_RUN = "The run behind this page"
WHOLE_REPORT = "The run's whole report"
MADE_BY = (
    "Measured by the guest kernel's own events and captures. The same command gives the same "
    "fingerprint on every machine."
)
REAL_CLOCK = "On the real clock numbers differ a little from run to run."
RUNTIME, CLOCK, SEED, KERNEL, FINGERPRINT = "runtime", "clock", "seed", "kernel", "fingerprint"
HOME, START, HOW_TO, REFERENCE = "Home", "Start", "How to", "Reference"
HOW_IT_WORKS, PROJECT = "How it works", "Project"
LABS = "Labs"
LABS_INTRODUCTION = (
    "Each student gets a variant of their own. `testbed check` shows them their public marks, "
    "`testbed grade` marks a class. Here are the handouts of one example."
)
LAB, HANDED_IN, POINTS = "lab", "handed in", "points"
NOT_TRANSLATED = "This page is not translated yet."
NUMBERS_ARE_QUOTED = (
    "Measured values are quoted as the program prints them, and figures are labelled in English."
)

DEPTH = "Defence in depth"
DEPTH_INTRODUCTION = (
    "Each attack of the book against each defence that was tried. Every cell is what the latest "
    "run of an experiment found in its packets, pages and logs; it leads to the claim in that "
    "run's report."
)
DEPTH_COUNTS = (
    "{pairs} pairs from the runs of {runs} of {of} experiments. Of {single} single defences, "
    "{whole} stop everything that they were tried against; all others leave something to the next "
    "layer."
)
DEPTH_STOPPED = "stopped"
DEPTH_HINDERED = "hindered: less of the attack works, or only some of the attacks, or later"
DEPTH_WORKS = "works: the attack is not touched"
DEPTH_MISSING = "no data in that run"
DEPTH_LAYERS = "Which layer stops what"
DEPTH_LAYERS_NOTE = (
    "One row per experiment. The numbers say how many of its attacks a defence stops, of those "
    "that it was tried against."
)
DEPTH_ATTACK = "attack"
DEPTH_UNTRIED = "not tried"
DEPTH_OLD_RUN = "the latest run does not have this table"

LABELS = tuple(
    value for name, value in list(globals().items()) if name.isupper() and isinstance(value, str)
)
"""All of them."""
