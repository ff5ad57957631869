"""What happens around training's iterations and epochs; one hook per file."""
