"""Whether a sweep kept its promises."""
