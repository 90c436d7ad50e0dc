# Copyright (c) mmdiffkd contributors.
"""The student inside a distillation config and checkpoint."""

import ast
import copy
import os.path as osp
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.hub import get_config

from ..distillation import (
    has_student,
    is_distillation,
    move_preprocessor_into_model,
)
from ..errors import UserError

PREFIX = 'architecture.'
DISTILL_SCOPES = ('mmdiffkd', 'mmrazor')
# Top-level names that distillation configs leave behind in a dumped config.
DISTILL_NAMES = ('distill', 'student', 'teacher')


def student_config(cfg: Config) -> Config:
    """Reduce a distillation config to the plain config of its student.

    The model becomes the architecture; whatever serves distillation alone
    goes; data, schedule and run-time settings stay.

    Args:
        cfg (Config): Any config. One without ``model.architecture`` is
            copied unchanged.

    Returns:
        Config: A config without a teacher.
    """
    cfg = copy.deepcopy(cfg)
    if not has_student(cfg):
        return cfg
    algorithm = cfg.model
    ours = is_distillation(cfg)
    cfg.model = _architecture(algorithm.architecture, cfg)
    if algorithm.get('data_preprocessor') is not None and not (
        ours and cfg.model.get('data_preprocessor')
    ):
        # The one that has been trained with: MMRazor's algorithms never call
        # the architecture's if they have one, ours prefers it.
        cfg.model.data_preprocessor = algorithm.data_preprocessor
    for key in list(cfg):
        if key.startswith(DISTILL_NAMES) or key in (
            'find_unused_parameters',
            'reliable',
        ):
            cfg.pop(key)
    sampler = (cfg.get('train_dataloader') or {}).get(
        'sampler'
    ) or ConfigDict()
    if _of_distillation(sampler) and sampler.get('sampler'):
        cfg.train_dataloader.sampler = sampler.sampler
    optim = cfg.get('optim_wrapper') or ConfigDict()
    if 'student_constructor' in (optim.get('paramwise_cfg') or {}):
        optim.constructor = optim.paramwise_cfg.pop('student_constructor')
    for key in ('val_cfg', 'test_cfg'):
        if _of_distillation(cfg.get(key)):
            cfg[key] = dict(type='ValLoop' if key == 'val_cfg' else 'TestLoop')
    if cfg.get('custom_hooks'):
        cfg.custom_hooks = [
            hook for hook in cfg.custom_hooks if not _of_distillation(hook)
        ]
    for name, hook in list((cfg.get('default_hooks') or {}).items()):
        if _of_distillation(hook):
            # Without the entry, MMEngine takes its own default.
            cfg.default_hooks.pop(name)
    _drop_own_imports(cfg)
    return cfg


def _architecture(architecture: Any, cfg: Config) -> ConfigDict:
    """Expand MMRazor's ``dict(cfg_path=...)`` into the model it names."""
    path = architecture.get('cfg_path')
    if path is None or architecture.get('type'):
        return architecture
    if '::' in path:
        cfg.default_scope = path.split('::')[0]
        source = get_config(path)
    elif osp.isfile(path):
        source = Config.fromfile(path)
    else:
        raise UserError(
            f'model.architecture.cfg_path names {path!r}, which does not exist'
        )
    source.merge_from_dict(architecture.get('cfg_options') or {})
    move_preprocessor_into_model(source)
    for key, value in architecture.items():
        if key not in ('cfg_path', 'cfg_options', 'pretrained', '_scope_'):
            source.model.setdefault(key, value)
    return source.model


def _of_distillation(item: Any) -> bool:
    """Whether a config dict builds an object of a distillation package."""
    if not isinstance(item, Mapping):
        return False
    scope = item.get('_scope_') or str(item.get('type')).split('.')[0]
    return scope in DISTILL_SCOPES


def _drop_own_imports(cfg: Config) -> None:
    imports = (cfg.get('custom_imports') or {}).get('imports')
    if imports is None:
        return
    imports = [imports] if isinstance(imports, str) else imports
    imports = [i for i in imports if i.split('.')[0] not in DISTILL_SCOPES]
    if imports:
        cfg.custom_imports.imports = imports
    else:
        cfg.pop('custom_imports')


def distill_types(item: Any) -> list[str]:
    """List the types of distillation packages that a config still names.

    Args:
        item (Any): A config or a part of it.

    Returns:
        list[str]: For example a student's backbone ``mmdiffkd.MobileNetV1``.
    """
    if isinstance(item, (Config, Mapping)):
        found = [str(item.get('type'))] if _of_distillation(item) else []
        for value in dict(item).values():
            found += distill_types(value)
        return found
    if isinstance(item, (list, tuple)):
        return [name for value in item for name in distill_types(value)]
    return []


def student_weights(checkpoint: Mapping, ema: bool = True) -> OrderedDict:
    """Take the student's weights out of a checkpoint.

    Args:
        checkpoint (Mapping): A distillation checkpoint of this package or of
            MMRazor, a plain student checkpoint, or a bare state dict.
        ema (bool): Whether to prefer averaged weights where the checkpoint
            has both. Defaults to True.

    Returns:
        OrderedDict: The weights under the plain student's names.

    Raises:
        UserError: If there are only other weights in it.
    """
    state = _unwrapped(_chosen_state(checkpoint, ema))
    student = OrderedDict(
        (key[len(PREFIX) :], value)
        for key, value in state.items()
        if key.startswith(PREFIX)
    )
    if not student and not any(
        key.startswith(('teacher.', 'distiller.')) for key in state
    ):
        student = state
    if not student:
        raise UserError(
            f'no student weights in the checkpoint: no key starts '
            f'with {PREFIX!r}; found {key_prefixes(state)}'
        )
    # Versions of the layers, which some need to read older weights.
    versions = getattr(state, '_metadata', None) or {}
    if student is not state and versions:
        _set_versions(
            student,
            (
                (key[len(PREFIX) :], value)
                for key, value in versions.items()
                if f'{key}.'.startswith(PREFIX)
            ),
        )
    return student


def _chosen_state(checkpoint: Mapping, ema: bool) -> Mapping:
    """Choose between the averaged and the raw weights of a checkpoint."""
    state = checkpoint.get('state_dict', checkpoint)
    other = checkpoint.get('ema_state_dict')
    if other is None:
        return state
    # MMEngine's EMAHook swaps the two when it saves: `state_dict` holds the
    # average and `ema_state_dict` the raw weights. Its counter gives it away.
    if 'steps' in other:
        averaged, raw = state, other
    else:
        averaged, raw = other, state
    return averaged if ema else raw


def _unwrapped(state: Mapping) -> OrderedDict:
    """Remove the ``module.`` that wrappers put before every name."""
    wrapper = 'module.'
    result = OrderedDict(
        (key[len(wrapper) :] if key.startswith(wrapper) else key, value)
        for key, value in state.items()
        if key != 'steps'
    )
    _set_versions(
        result,
        (
            (key[len(wrapper) :] if key.startswith(wrapper) else key, value)
            for key, value in (getattr(state, '_metadata', None) or {}).items()
        ),
    )
    return result


def _set_versions(
    state: OrderedDict, versions: Iterable[tuple[str, Any]]
) -> None:
    """Attach the layers' versions where ``load_state_dict`` looks."""
    vars(state)['_metadata'] = OrderedDict(versions)


def key_prefixes(state: Mapping) -> str:
    """Summarise the names of a state dict, for messages."""
    counts = Counter(str(key).split('.')[0] for key in state)
    shown = [f'{name}.* ({n})' for name, n in counts.most_common(6)]
    return ', '.join(shown) or 'nothing'


def config_from_text(text: str, trust: bool = False) -> Config:
    """Rebuild the config that MMEngine wrote into a checkpoint.

    MMEngine executes the text. What it writes itself is literals and
    ``dict(...)`` only, so read that and run nothing.

    Args:
        text (str): ``checkpoint['meta']['cfg']``.
        trust (bool): Whether to execute anything else. Defaults to False.

    Returns:
        Config: The config.
    """
    try:
        values = {}
        for statement in ast.parse(text).body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    values[name] = _literal(value)
                case _:
                    raise ValueError('not of the kind NAME = VALUE')
    except (SyntaxError, TypeError, ValueError) as error:
        if trust:
            return Config.fromstring(text, file_format='.py')
        line: int | None = getattr(error, 'lineno', None)
        raise UserError(
            'the config inside the checkpoint is more than plain values'
            f'{f" (line {line})" if line else ""}: name the config file with '
            '--config, or pass --trust-checkpoint to execute it'
        ) from error
    return Config(values)


def _literal(node: ast.expr | None) -> Any:
    """Evaluate literals, containers and ``dict(key=value)``."""
    if node is None:  # in the place of a key
        raise ValueError('{**OTHER} is no literal')
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == 'dict'
        and all(word.arg for word in node.keywords)
    ):
        values = {}
        for argument in node.args:  # keys that are no names: dict({'0': 1})
            values.update(_literal(argument))
        values.update(
            (word.arg, _literal(word.value)) for word in node.keywords
        )
        return values
    if isinstance(node, ast.Dict):
        return {
            _literal(key): _literal(value)
            for key, value in zip(node.keys, node.values)
        }
    if isinstance(node, (ast.List, ast.Tuple)):
        kind = list if isinstance(node, ast.List) else tuple
        return kind(_literal(element) for element in node.elts)
    if isinstance(node, ast.Name) and node.id in ('inf', 'nan'):
        return float(node.id)
    return ast.literal_eval(node)
