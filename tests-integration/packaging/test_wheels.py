"""The distributions as their users get them: wheels, in clean environments."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ACME = Path(__file__).parent / "acme-broker"
FOUNDING = ROOT / "tests-integration" / "test_founding_examples.py"

pytestmark = pytest.mark.timeout(300)


class Environment:
    """A virtual environment that knows our wheels and nothing else of this checkout."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        self._python = folder / "bin" / "python"
        self._wheels = wheels
        _run("uv", "venv", "--quiet", "--python", sys.executable, str(folder))

    def install(self, *requirements: str) -> None:
        """Install, taking what is ours from the wheels."""
        _run(
            "uv", "pip", "install", "--quiet", "--python", str(self._python), "--prerelease=allow",
            "--find-links", str(self._wheels), *requirements,
        )  # fmt: skip

    def python(self, code: str) -> str:
        """Run code in it, away from the checkout; what it printed."""
        return _run(str(self._python), "-I", "-c", code, cwd=self._wheels)

    def pytest(self, *arguments: str) -> str:
        """Run pytest in it."""
        return _run(str(self._python), "-m", "pytest", *arguments, cwd=self._wheels)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all of our wheels and sdists."""
    folder = tmp_path_factory.mktemp("dist")
    for package in sorted((ROOT / "packages").iterdir()):
        _run("uv", "build", "--quiet", "--out-dir", str(folder), str(package))
    return folder


@pytest.fixture
def environment(tmp_path: Path, wheels: Path) -> Environment:
    """A clean environment."""
    return Environment(tmp_path / "env", wheels)


def test_every_wheel_has_its_own_files_and_no_others(wheels: Path) -> None:
    expected = {
        "dispytch_core": "dispytch/",
        "dispytch_kafka": "dispytch/kafka/",
        "dispytch_rabbitmq": "dispytch/rabbitmq/",
    }
    # pytest imports its plugins in every run, before it measures coverage. Beside the package, this
    # one brings nothing of it along.
    beside = {"dispytch_core": {"pytest_dispytch.py"}}
    found = {wheel.name.split("-")[0]: wheel for wheel in wheels.glob("*.whl")}
    assert found.keys() == expected.keys()
    for name, folder in expected.items():
        with zipfile.ZipFile(found[name]) as archive:
            names = [one for one in archive.namelist() if ".dist-info/" not in one]
            licences = [one for one in archive.namelist() if one.endswith("licenses/LICENSE")]
        assert {one for one in names if not one.startswith(folder)} == beside.get(name, set())
        assert f"{folder}py.typed" in names
        assert not any(one.endswith("dispytch/__init__.pyi") for one in names)
        assert len(licences) == 1
    assert len(list(wheels.glob("*.tar.gz"))) == 3


def test_core_alone_knows_no_driver(environment: Environment) -> None:
    environment.install("dispytch-core")
    said = environment.python(
        "import sys, dispytch, dispytch.backends as b\n"
        "assert not {'aiokafka', 'aio_pika', 'aiormq'} & sys.modules.keys()\n"
        "print(b.installed())\n"
        "try: b.backend_from('kafka://localhost')\n"
        "except b.BackendNotFound as error: print(error)\n"
    )
    assert "['memory']" in said
    assert "pip install 'dispytch-core[kafka]'" in said


@pytest.mark.parametrize(
    ("extra", "driver", "other"),
    [("kafka", "aiokafka", "aio_pika"), ("rabbitmq", "aio_pika", "aiokafka")],
)
def test_one_backend_brings_its_driver_and_not_the_other(
    environment: Environment, extra: str, driver: str, other: str
) -> None:
    environment.install(f"dispytch-core[{extra}]")
    said = environment.python(
        "import importlib.util, sys, dispytch\n"
        "from dispytch.backends import backend_from, installed\n"
        f"assert {driver!r} not in sys.modules, 'a backend is imported when it is asked for'\n"
        f"print(type(backend_from('{extra}://localhost')).__name__, installed())\n"
        f"assert {driver!r} in sys.modules\n"
        f"assert importlib.util.find_spec({other!r}) is None\n"
        f"assert importlib.util.find_spec('dispytch.{extra}') is not None\n"
    )
    assert "Backend" in said
    assert f"'{extra}'" in said


def test_all_backends_live_side_by_side(environment: Environment) -> None:
    environment.install("dispytch-core[all]")
    environment.python("import dispytch, dispytch.kafka, dispytch.rabbitmq, dispytch.memory")


def test_somebody_else_s_backend_is_found_and_keeps_the_contract(
    environment: Environment, tmp_path: Path
) -> None:
    # Far from this checkout, whose own settings and fixtures would be found otherwise.
    acme = shutil.copytree(ACME, tmp_path / "acme-broker")
    environment.install(str(acme), "dispytch-core[testing]")
    options = ("-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", f"--rootdir={tmp_path}")
    said = environment.pytest(*options, str(acme / "tests"))
    assert " passed" in said
    # The founding examples, as they stand, on that backend.
    here = tmp_path / "founding"
    here.mkdir()
    (here / "test_founding_examples.py").write_text(FOUNDING.read_text())
    (here / "conftest.py").write_text(
        "import pytest\n"
        "@pytest.fixture\n"
        "def broker_url(): return 'acme://'\n"
        "@pytest.fixture\n"
        "def unique(): return 'one'\n"
    )
    assert "1 passed" in environment.pytest(*options, str(here))


def _run(*command: str, cwd: Path = ROOT) -> str:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env=clean, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout
