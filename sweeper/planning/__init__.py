"""From a command line to the config of every job, checked before anything is started."""
