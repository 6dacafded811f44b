"""Every kernel is compiled for an H100 or H200, with neither GPU nor driver at hand."""

import importlib
import pkgutil
from pathlib import Path

import pytest
import warp as wp
from warp._src.context import user_modules

import gigalane
from gigalane.core.kernels import start_kernels
from reference.cubin import kernel_needs

ARCHITECTURE = 90

CPU_ONLY = {
    "gigalane.sim.step": "a whole world in one thread; stages take its place on a GPU",
    "gigalane.networks.set_kernels": "vector code of CPUs; torch takes its place on a GPU",
    "gigalane.networks.dense_kernels": "vector code of CPUs; torch takes its place on a GPU",
}
"""Modules whose kernels are never launched on a GPU, and why."""

FRAME_MOST = 1600
"""Local memory of a thread that no stage goes beyond [bytes]: a route and a few of its copies."""


def kernels() -> dict[str, set[str]]:
    """Names of the package's kernels by module."""
    for module in pkgutil.walk_packages(gigalane.__path__, "gigalane."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return {
        name: set(module.kernels)
        for name, module in sorted(user_modules.items())
        if name.startswith("gigalane.") and module.kernels
    }


def test_modules_kept_from_gpus_exist_and_have_kernels():
    assert CPU_ONLY.keys() <= kernels().keys()


@pytest.fixture(scope="module")
def needs(tmp_path_factory):
    """What every kernel needs, by module; compiling is what is tested here."""
    start_kernels()
    folder = tmp_path_factory.mktemp("cubin")
    found = {}
    for name in kernels().keys() - CPU_ONLY.keys():
        (cubin,) = wp.compile_aot_module(
            user_modules[name], arch=ARCHITECTURE, module_dir=folder, use_ptx=False
        )
        found[name] = kernel_needs(Path(cubin))
    return found


def test_every_other_kernel_compiles_to_machine_code(needs):
    for module, names in kernels().items():
        if module not in CPU_ONLY:
            for name in names:
                compiled = [one for one in needs[module] if one.startswith(f"{name}_")]
                assert compiled, (module, name)
                assert all(needs[module][one].registers > 0 for one in compiled)


def test_no_stage_keeps_large_arrays_in_local_memory(needs):
    large = {
        name: need.frame
        for kernels_of in needs.values()
        for name, need in kernels_of.items()
        if need.frame > FRAME_MOST
    }
    assert not large
