"""The pipeline's stages, each a small script: `python -m stages.NAME`, in the order of dvc.yaml."""

import gc
import importlib.util
import signal
import sys

# `python -m` imports this first. Until `errors.run`, Ctrl-C ends the process: imports would answer with a traceback.
# And no garbage is looked for: what an import makes stays, and the search takes a fifth of its time.
if sys.argv[0] == "-m":
    gc.disable()
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

# DVC runs whatever `python` is first on PATH: one of another environment gets a line, not a traceback.
if missing := [name for name in ("dvc", "keras", "pydantic", "seaborn") if importlib.util.find_spec(name) is None]:
    sys.exit(
        f"{sys.executable} lacks this project's packages ({', '.join(missing)}): "
        "run `make`, or activate the environment first: . .venv/bin/activate"
    )
