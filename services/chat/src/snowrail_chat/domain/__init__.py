"""What a line means and what is shown for it: pure, without IO."""
