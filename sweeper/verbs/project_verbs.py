"""The commands about a project and its machine: how to begin one, what there is to choose from, what is wrong here."""

from collections.abc import Mapping

from sweeper.verbs.verb import Verb

PROJECT_VERBS: Mapping[str, Verb] = {}
