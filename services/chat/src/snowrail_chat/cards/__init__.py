"""How answers look: cards made from what is known, without IO."""
