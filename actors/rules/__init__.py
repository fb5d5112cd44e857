"""What the actors decide by: no thread, socket, clock or Pykka in here."""
