"""gunicorn for service_latest.py: several workers, and none of them has a connection at a venue."""

from pathlib import Path

chdir = str(Path(__file__).parent)
bind = "127.0.0.1:8000"
workers = 4
threads = 8
control_socket_disable = True  # it would need a writable home
preload_app = True  # allowed: importing the application starts no runtime and opens no connection
