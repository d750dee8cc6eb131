"""What must be mended before the host can be imported, or found."""
import builtins
import importlib.util
import sys
import warnings
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace

from ..host import installed
from .registry import left_out, remedy


@remedy
def mmcv_lite_warning() -> bool:
    """mmcv-lite warns on every start of a module that nothing here uses."""
    if installed('mmcv-lite') is None:
        return False
    warnings.filterwarnings(
        'ignore', message='Fail to import ``MultiScaleDeformableAttention``')
    return True


@remedy
def missing_drn() -> bool:
    """The wheel of MMAction2 lacks `mmaction.models.localizers.drn`."""
    import mmaction
    name = 'mmaction.models.localizers.drn'
    folder = Path(mmaction.__file__).parent / 'models' / 'localizers' / 'drn'
    if folder.is_dir() or name in sys.modules:
        return False

    class DRN:
        """Stands in for a localizer that this MMAction2 does not contain."""

        def __init__(self, *args, **kwargs) -> None:
            raise ImportError('DRN is not part of the MMAction2 wheel; '
                              'install MMAction2 from source to use it')

    package, module = ModuleType(name), ModuleType(f'{name}.drn')
    package.__path__ = []
    package.drn, module.DRN = module, DRN
    sys.modules.update({name: package, f'{name}.drn': module})
    return True


@remedy
def find_loader() -> bool:
    """`pkgutil.find_loader`, which MMEngine and mmcv call, went in 3.14."""
    import pkgutil
    if hasattr(pkgutil, 'find_loader'):
        return False
    from mmcv.utils import ext_loader
    from mmengine.utils.dl_utils import misc

    def find(name: str):
        spec = importlib.util.find_spec(name)
        return spec and spec.loader

    for module in (misc, ext_loader):
        module.pkgutil = SimpleNamespace(find_loader=find)
    return True


@remedy
def pkg_resources() -> bool:
    """`pkg_resources`, which MMEngine looks packages up with, has gone.

    setuptools 82 has none; bases such as `mmaction::...` need it.
    """
    if importlib.util.find_spec('pkg_resources') is not None:
        return False
    from mmengine.utils import package_utils

    def is_installed(package: str) -> bool:
        if installed(package) is not None:
            return True
        spec = importlib.util.find_spec(package)
        return spec is not None and spec.origin is not None

    def package2module(package: str) -> str:
        names = metadata.distribution(package).read_text('top_level.txt')
        if not names:
            raise ValueError(f'can not infer the module name of {package}')
        return names.split()[0]

    def get_installed_path(package: str) -> str:
        spec = importlib.util.find_spec(package)
        if spec is None:
            if installed(package) is None:
                raise metadata.PackageNotFoundError(package)
            spec = importlib.util.find_spec(package2module(package))
        if spec.origin is None:
            raise RuntimeError(
                f'{package} is a namespace package, which has no path')
        return str(Path(spec.origin).parent)

    for new in (is_installed, package2module, get_installed_path):
        old = getattr(package_utils, new.__name__)
        for name, module in list(sys.modules.items()):
            if name.partition('.')[0] in HOST_PACKAGES and \
                    getattr(module, new.__name__, None) is old:
                setattr(module, new.__name__, new)
    return True


@remedy
def broken_optional_packages() -> bool:
    """A package that the host tries, and that fails, stops the whole import.

    MMAction2 and MMEngine look for transformers, mmdet, mmpretrain, wandb and
    others, and go on without those that are absent. One that is there but too
    new (transformers 5 lacks names that VindLU imports) or broken (whatever
    its import raises) is treated as absent here, and noted in ``left_out``.
    """
    original = builtins.__import__

    def tolerant(name, globals=None, locals=None, fromlist=(), level=0):
        importer = (globals or {}).get('__name__', '')
        try:
            return original(name, globals, locals, fromlist, level)
        except Exception as error:
            if importer == VINDLU[0] and name == 'vindlu':
                left_out['transformers'] = _first_line(error)
                return _without_vindlu()
            package = name.partition('.')[0]
            of_host = importer.partition('.')[0] in HOST_PACKAGES
            if not of_host or level or package in HOST_PACKAGES:
                raise
            if isinstance(error, ModuleNotFoundError) and \
                    error.name == package:
                raise  # simply not installed
            left_out[package] = _first_line(error)
            raise ImportError(f'{package}: {error}') from error

    builtins.__import__ = tolerant
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', FutureWarning)  # VindLU's
            import mmaction.apis  # noqa: F401
            import mmaction.datasets  # noqa: F401
            import mmaction.engine  # noqa: F401
            import mmaction.models  # noqa: F401
            import mmaction.visualization  # noqa: F401
    finally:
        builtins.__import__ = original
    return bool(left_out)


HOST_PACKAGES = ('mmaction', 'mmengine', 'mmcv')
VINDLU = ('mmaction.models.multimodal', 'VindLUVQA', 'VindLURetrievalMC',
          'VindLURetrieval')


def _without_vindlu() -> ModuleType:
    """What the host does where transformers is not installed."""
    from mmaction.registry import MODELS

    def refuse(*args, **kwargs) -> None:
        raise ImportError(
            f'{", ".join(VINDLU[1:])} of MMAction2 cannot work with this '
            f'transformers ({left_out["transformers"]}). '
            "Run: pip install 'transformers>=4.28,<5'")

    for name in VINDLU[1:]:
        MODELS.register_module(name=name, module=refuse, force=True)
    return ModuleType('vindlu')


def _first_line(error: Exception) -> str:
    return f'{type(error).__name__}: {error}'.partition('\n')[0]


@remedy
def fixed_list_of_packages() -> bool:
    """`package::config` works for a fixed list of the host's packages alone,
    and not for one that was installed from a clone to work on.

    A plugin has no registries of its own either: what comes from its configs
    is looked up in MMAction2's.
    """
    from mmengine.config import Config
    from mmengine.config import config as config_module
    from mmengine.config.utils import MODULE2PACKAGE
    from mmengine.hub import hub as hub_module
    package = __package__.partition('.')[0]
    if package in MODULE2PACKAGE:
        return False
    MODULE2PACKAGE[package] = package
    path_of, cfg_path_of = hub_module.get_installed_path, Config._get_cfg_path

    def get_installed_path(name: str) -> str:
        return str(
            Path(__file__).parents[1]) if name == package else path_of(name)

    def get_cfg_path(cfg_path: str, filename: str) -> tuple:
        path, scope = cfg_path_of(cfg_path, filename)
        return path, 'mmaction' if scope == package else scope

    # Of which the host tells its user at every such name.
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')
    config_module.get_installed_path = get_installed_path
    hub_module.get_installed_path = get_installed_path
    Config._get_cfg_path = staticmethod(get_cfg_path)
    return True
