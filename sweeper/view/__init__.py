"""A sweep as its person sees it, in the terminal it was started in and in any other."""
