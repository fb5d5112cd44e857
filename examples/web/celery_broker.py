"""Celery with a folder as its broker: the examples need no server. Use RabbitMQ or Redis in its place."""

import os
from pathlib import Path

from celery import Celery

FOLDER = Path(os.environ.get("CELERY_FOLDER", Path(__file__).parent / ".celery")).resolve()
QUEUE, CONTROL, RESULTS = FOLDER / "queue", FOLDER / "control", FOLDER / "results"
for folder in (QUEUE, CONTROL, RESULTS):
    folder.mkdir(parents=True, exist_ok=True)

app = Celery("prices", broker="filesystem://", backend=RESULTS.as_uri())
app.conf.broker_transport_options = {
    "data_folder_in": str(QUEUE),
    "data_folder_out": str(QUEUE),
    "control_folder": str(CONTROL),
}
