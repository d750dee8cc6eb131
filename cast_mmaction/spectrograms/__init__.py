"""From samples of sound to spectrograms, on any device."""
