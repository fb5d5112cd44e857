"""From a line's decoded events into the streams that asked for them, on the line's own thread."""
