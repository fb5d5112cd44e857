"""The full-screen view of `linewarden status --watch`, on textual."""
