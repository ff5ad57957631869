"""The commands about single runs: what to do with a trained detector, and how results come in and go out."""

from collections.abc import Mapping

from sweeper.verbs.verb import Verb

RUN_VERBS: Mapping[str, Verb] = {}
