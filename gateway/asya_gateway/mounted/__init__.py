"""Files that somebody else writes while the program runs: ConfigMaps, Secrets, files of an editor. Nothing here knows
what is in them."""
