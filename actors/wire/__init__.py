"""Where bytes and time are: sockets, frames and timers."""
