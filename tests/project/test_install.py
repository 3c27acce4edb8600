"""What installs .venv, for real: uv or else pip, from a package index on this machine, with a lock of one package."""

import datetime
import functools
import hashlib
import http.server
import ipaddress
import shutil
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import uv
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = Path(__file__).parents[2]
DEAD_INDEX = "http://127.0.0.1:9/simple"  # nothing listens there
PIP_INSTALLS = "uv failed: see above. pip installs the same, in two minutes or more"
pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path) -> Path:
    """A clone's files for set-up, locks of one package each, and `bin`, in which all programs are that are on PATH."""
    (tmp_path / "bin").mkdir()
    for name in ("bash", "cat", "grep", "mkdir", "readlink", "rm", "sed", "touch"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    (tmp_path / "bin/uv").symlink_to(uv.find_uv_bin())
    for name in ("Makefile", "setup.sh"):
        shutil.copy(ROOT / name, tmp_path)
    for name, lock in (("first", "requirements.txt"), ("second", "requirements-search.txt")):
        digest = hashlib.sha256(add_wheel(tmp_path / "index/simple" / name, name).read_bytes()).hexdigest()
        (tmp_path / lock).write_text(f"{name}==1.0 --hash=sha256:{digest}\n")
    return tmp_path


def add_wheel(page: Path, name: str) -> Path:
    """Adds the package, an empty module, to the folder of its page in an index."""
    page.mkdir(parents=True)
    wheel = page / f"{name}-1.0-py3-none-any.whl"
    information = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files = {f"{name}.py": ""} | {f"{name}-1.0.dist-info/{key}": text for key, text in information.items()}
    record = f"{name}-1.0.dist-info/RECORD"
    files[record] = "".join(f"{path},,\n" for path in [*files, record])
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    (page / "index.html").write_text(f'<!DOCTYPE html><a href="{wheel.name}">{wheel.name}</a>')
    return wheel


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Prints nothing."""


@pytest.fixture
def server(folder) -> Iterator[http.server.ThreadingHTTPServer]:
    handler = functools.partial(Handler, directory=str(folder / "index"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def use_https(server: http.server.ThreadingHTTPServer, folder: Path) -> Path:
    """Serves with a certificate that no system trusts, and returns its file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a proxy")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    certificate = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    encoding = serialization.Encoding.PEM
    (folder / "proxy.pem").write_bytes(certificate.public_bytes(encoding))
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "proxy.pem", folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return folder / "proxy.pem"


@pytest.fixture(scope="session")
def venv(tmp_path_factory) -> Path:
    """An environment with pip, as where pip brought uv: the Python below it may have none."""
    path = tmp_path_factory.mktemp("venv") / ".venv"
    subprocess.run([sys._base_executable, "-m", "venv", path], check=True)
    return path


def make(folder: Path, target: str = ".venv/ready", **environment: str) -> tuple[int, str]:
    """The exit code and what is printed. No setting of this machine's pip counts, no failure is repeated."""
    own = {"PATH": str(folder / "bin"), "HOME": str(folder), "UV_CACHE_DIR": str(folder / "cache")}
    once = {"PIP_CONFIG_FILE": "/dev/null", "PIP_RETRIES": "0", "UV_HTTP_RETRIES": "0"}
    command = [shutil.which("make"), target, f"PYTHON={sys._base_executable}"]
    done = subprocess.run(
        command, cwd=folder, env=own | once | environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def works(folder: Path, *names: str) -> bool:
    """Whether `.venv` imports the packages."""
    return all(subprocess.run([folder / ".venv/bin/python", "-c", f"import {name}"]).returncode == 0 for name in names)


def test_if_uvs_index_does_not_answer_pip_installs_the_environment_and_the_searchs(folder, server):
    index = f"http://127.0.0.1:{server.server_port}/simple"
    code, printed = make(folder, ".venv/search", UV_DEFAULT_INDEX=DEAD_INDEX, PIP_INDEX_URL=index)
    assert code == 0, printed
    assert printed.splitlines().count(PIP_INSTALLS) == 2
    assert works(folder, "first", "second")


def test_uv_installs_from_an_index_that_only_pip_knows(folder, server, venv):
    shutil.copytree(venv, folder / ".venv", symlinks=True)
    index = f"http://127.0.0.1:{server.server_port}/simple"
    code, printed = make(folder, ".venv/search", PIP_INDEX_URL=index)
    assert code == 0, printed
    assert PIP_INSTALLS not in printed
    assert works(folder, "first", "second")


def test_uv_trusts_a_certificate_that_only_pip_knows(folder, server, venv):
    shutil.copytree(venv, folder / ".venv", symlinks=True)
    certificate = use_https(server, folder)
    index = f"https://127.0.0.1:{server.server_port}/simple"
    code, printed = make(folder, PIP_INDEX_URL=index, PIP_CERT=str(certificate))
    assert code == 0, printed
    assert PIP_INSTALLS not in printed
    assert works(folder, "first")


def test_with_a_certificate_that_nobody_knows_one_line_names_the_remedy(folder, server):
    use_https(server, folder)
    code, printed = make(folder, PIP_INDEX_URL=f"https://127.0.0.1:{server.server_port}/simple")
    assert code != 0
    assert next(line for line in printed.splitlines() if "PIP_CERT" in line).startswith("setting up .venv failed")
    assert not (folder / ".venv/ready").exists()


@pytest.mark.parametrize("environment", [{}, {"UV_DEFAULT_INDEX": DEAD_INDEX}], ids=["uv", "pip"])
def test_a_package_that_an_interruption_left_half_copied_is_installed_again(folder, server, venv, environment):
    shutil.copytree(venv, folder / ".venv", symlinks=True)
    environment = environment | {"PIP_INDEX_URL": f"http://127.0.0.1:{server.server_port}/simple"}
    assert make(folder, **environment)[0] == 0
    (module,) = (folder / ".venv/lib").glob("python*/site-packages/first.py")
    module.unlink()
    (module.parent / "first-1.0.dist-info/INSTALLER").unlink()  # the last file to be written, but for the list of files
    (folder / ".venv/ready").unlink()
    code, printed = make(folder, **environment)
    assert code == 0, printed
    assert works(folder, "first")
