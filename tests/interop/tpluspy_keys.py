"""tpluspy's own key files and ids of assets, for what is written to stdin: one JSON object per line.

It runs in the SDK's own virtualenv, so it knows nothing of Linewarden. The first argument becomes its home.
"""
# mypy: ignore-errors

import contextlib
import io
import json
import os
import sys
from types import SimpleNamespace

os.environ["HOME"] = sys.argv[1]

from tplus.model.asset_identifier import AssetAddress, AssetIdentifier  # after its home is known
from tplus.utils.user import User, UserManager, load_user


def store(name, key, password):
    """A user with this key, or with a new one, stored by the manager and loaded again."""
    users = UserManager()
    user = users.add(name, key, password=password) if key else users.generate(name, password=password)
    load_user(name, password=password).sign("it opens")
    return user.public_key


def store_wallet(name, signature, password):
    """The user of a wallet, whose key comes from a signature of it, stored as the page says."""
    wallet = SimpleNamespace(address="0x" + "11" * 20)
    user = User.from_evm_account(wallet, signature=bytes.fromhex(signature))
    UserManager().add(name, user.sk.private_bytes_raw(), password=password)
    return user.public_key


def asset(written):
    try:
        return str(AssetIdentifier(written))
    except Exception:  # whatever it raises: it is none
        return None


def asset_of_evm(address, chain):
    return str(AssetAddress.from_evm_address(address, chain_id=chain))


for line in sys.stdin:
    asked = json.loads(line)
    with contextlib.redirect_stdout(io.StringIO()):  # the SDK prints where it has stored a file
        answer = globals()[asked.pop("do")](**asked)
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
