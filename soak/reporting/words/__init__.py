"""What is found, in plain words: the sentences that terminal, HTML, Markdown and JUnit share.

Pure functions of the results. In sentences a cycle is what the result calls it (``cycle_noun``: a call, a sample, a
mark); tables and axes say "cycle". Rates are shortened to
what a person needs; the exact numbers stand in the tables. Nothing here is escaped: whoever puts a sentence into
HTML, Markdown or a terminal escapes it there.
"""

from soak.reporting.words.causes.advice import advise, advise_on_group
from soak.reporting.words.causes.holders import group_held_by, held_by
from soak.reporting.words.causes.sentences import (
    cause_facts,
    cause_sentence,
    explain,
    group_sentence,
    more_causes_sentence,
    opened_words,
    place_words,
    site_lines,
    stack_title,
    where_lines,
)
from soak.reporting.words.components import (
    SYMBOLS,
    component_sentence,
    decided_cell,
    decided_words,
    excuse_sentence,
    needed_command,
    needed_sentence,
    overhead_sentence,
    pacing_sentence,
    pauses_sentence,
    progress_sentence,
    provisional_sentence,
    run_command,
    stop_sentence,
    time_left_s,
    tracker_sentence,
    verdict_words,
)
from soak.reporting.words.growth import growth_cell, growth_words, signal_cell
from soak.reporting.words.runs import (
    asides,
    combination_sentence,
    command_line,
    controls_sentence,
    headline,
    memory_limit_sentence,
    parts_sentence,
    planted_components,
    planted_words,
    progress_of,
    state_sentence,
    tolerance_bytes,
    waiting_sentence,
    when_words,
)
from soak.reporting.words.so_far import growth_so_far
from soak.reporting.words.verdicts.failures import last_written, telling_frames
from soak.reporting.words.verdicts.left_behind import left_behind_sentence, limits_sentence
from soak.reporting.words.verdicts.processes import role_sentences
from soak.reporting.words.verdicts.series import series_sentence, signal_sentence
from soak.reporting.words.verdicts.why import failure_sentence, lookalike_sentence, why_sentence, why_words
from soak.reporting.words.vocabulary import (
    byte_rate,
    count_words,
    interval_words,
    period_words,
    printable,
    rate_words,
    short_number,
)

__all__ = [
    "SYMBOLS",
    "advise",
    "advise_on_group",
    "asides",
    "byte_rate",
    "cause_facts",
    "cause_sentence",
    "combination_sentence",
    "command_line",
    "component_sentence",
    "controls_sentence",
    "count_words",
    "decided_cell",
    "decided_words",
    "excuse_sentence",
    "explain",
    "failure_sentence",
    "group_held_by",
    "group_sentence",
    "growth_cell",
    "growth_so_far",
    "growth_words",
    "headline",
    "held_by",
    "interval_words",
    "last_written",
    "left_behind_sentence",
    "limits_sentence",
    "lookalike_sentence",
    "memory_limit_sentence",
    "more_causes_sentence",
    "needed_command",
    "needed_sentence",
    "opened_words",
    "overhead_sentence",
    "pacing_sentence",
    "parts_sentence",
    "pauses_sentence",
    "period_words",
    "place_words",
    "planted_components",
    "planted_words",
    "printable",
    "progress_of",
    "progress_sentence",
    "provisional_sentence",
    "rate_words",
    "role_sentences",
    "run_command",
    "series_sentence",
    "short_number",
    "signal_cell",
    "signal_sentence",
    "site_lines",
    "stack_title",
    "state_sentence",
    "stop_sentence",
    "telling_frames",
    "time_left_s",
    "tolerance_bytes",
    "tracker_sentence",
    "verdict_words",
    "waiting_sentence",
    "when_words",
    "where_lines",
    "why_sentence",
    "why_words",
]
