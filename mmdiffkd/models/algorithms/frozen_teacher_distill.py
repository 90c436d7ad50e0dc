# Copyright (c) mmdiffkd contributors.
"""Distillation from one frozen teacher."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmrazor.models.algorithms import SingleTeacherDistill
from mmrazor.models.utils import add_prefix
from mmrazor.registry import MODELS as RAZOR_MODELS
from torch import Tensor, nn

from mmdiffkd.registry import MODELS
from mmdiffkd.utils import (
    ConfigKindError,
    NonFiniteLossError,
    UserError,
    isolated_rng,
)
from mmdiffkd.utils.distillation import Distillation

from ..distillers.config_checks import check_distiller
from ..widths import complete
from .announcements import (
    announce_absent_parts,
    announce_shared_input,
    announce_teacher,
)
from .checkpoint_keys import to_own_keys
from .inheritance import check_inheritance, inherit
from .nonfinite import NonFiniteGuard, nonfinite_parts
from .own_defaults import own_defaults
from .student_gradient import check_student_gradient
from .teacher_builder import RANDOM_TEACHER, build_teacher, load_teacher
from .teacher_input import TeacherInput
from .teacher_pass import TeacherPass, check_manner


@MODELS.register_module()
class FrozenTeacherDistill(Distillation, SingleTeacherDistill):
    """``SingleTeacherDistill`` whose teacher is only looked at.

    * The teacher is wholly in eval mode, under ``no_grad``, and outside the
      module tree: not in the state dict, the optimizer, DDP or the EMA copy.
    * Its forward pass ends at the last recorded module, and leaves out what
      no record depends on. It computes no loss and needs no labels.
    * Its checkpoint must cover all of its weights.
    * Its input is re-normalised where its preprocessor differs from the
      student's.
    * Once ``distillation_stopped`` is set, neither teacher nor connectors
      run, and distributed training needs no ``find_unused_parameters``.
    * Without distillation losses, training is the student's own, to the bit.

    * Widths, levels and layouts that the distiller's config leaves out are
      read from the two models; ``found_in_models`` holds them.

    Args:
        distiller (dict): Config of a ``ConfigurableDistiller``, such as
            :class:`~mmdiffkd.models.DiffKDDistiller`.
        teacher (dict | BaseModel): Config, see
            :func:`~mmdiffkd.models.algorithms.teacher_builder.build_teacher`,
            or a built model.
        teacher_ckpt (str, optional): File or URL of the teacher's weights.
            Defaults to None: those that its config names.
        allow_random_teacher (bool): Whether a teacher without any weights
            may be trained with; for tests. Defaults to False.
        match_teacher_input (bool): Whether to re-normalise the input, where
            the teacher's config has a ``data_preprocessor``. Defaults to True.
        inherit_teacher (Sequence[str]): Modules, such as ``'neck'``, whose
            weights the student takes from the teacher when it is
            initialised; a checkpoint to start or resume from comes after and
            wins. Defaults to none.
        architecture (dict | BaseModel): The student.
        data_preprocessor (dict | nn.Module, optional): Defaults to None: the
            student's. A dict is given to a student that has none of its
            own, as MMPretrain and MMSegmentation write it at the top of
            their configs; where the student has one, that one is used.
        teacher_trainable (bool): If True, the teacher is trained as in
            MMRazor, and none of the points above holds. Defaults to False.
        skip_teacher_parts (bool): Whether what no record depends on is left
            out, with the same bits. Defaults to True.
        teacher_dtype (str, optional): ``'bfloat16'`` or ``'float16'``; see
            :class:`~.teacher_pass.TeacherPass`. Defaults to None.
        teacher_channels_last (bool): Its memory format. Defaults to False.
        compile_teacher (bool | dict): Whether compiled. Defaults to False.
        **kwargs: Further arguments of MMRazor's ``SingleTeacherDistill``.

    Raises:
        UserError: If the teacher cannot be built, its checkpoint cannot be
            read or does not cover it, or the student cannot inherit from it.
    """

    def __init__(
        self,
        distiller: dict,
        teacher: BaseModel | dict,
        teacher_ckpt: str | None = None,
        *,
        architecture: BaseModel | dict,
        allow_random_teacher: bool = False,
        match_teacher_input: bool = True,
        inherit_teacher: Sequence[str] = (),
        data_preprocessor: dict | nn.Module | None = None,
        teacher_trainable: bool = False,
        skip_teacher_parts: bool = True,
        teacher_dtype: str | None = None,
        teacher_channels_last: bool = False,
        compile_teacher: bool | dict = False,
        **kwargs: Any,
    ) -> None:
        check_distiller(distiller)
        manner: dict[str, Any] = dict(
            skip=skip_teacher_parts,
            dtype=teacher_dtype,
            channels_last=teacher_channels_last,
            compiled=compile_teacher,
        )
        check_manner(**manner)
        for name, value in dict(
            architecture=architecture, teacher=teacher
        ).items():
            if not isinstance(value, (dict, BaseModel)):
                raise ConfigKindError(
                    f'model.{name} should be a `dict` or a model: the config '
                    f'of a model, or one that is built; got {value!r}'
                )
        if not isinstance(teacher_ckpt, (str, type(None))):
            raise UserError(
                'model.teacher_ckpt must be the name of a '
                f'checkpoint, got {teacher_ckpt!r}'
            )
        if isinstance(architecture, dict):
            own = architecture.get('data_preprocessor')
            if isinstance(data_preprocessor, dict) and (
                'type' not in data_preprocessor or 'type' in architecture
            ):
                # What the Runner takes from the top of the config; as for a
                # stock model, the one in the model wins. Given to the
                # student, since MMPretrain adds Mixup and CutMix to its own.
                architecture = dict(architecture)
                architecture['data_preprocessor'] = own or data_preprocessor
                data_preprocessor = None
            architecture = own_defaults(RAZOR_MODELS.build(architecture))
        # What follows draws random numbers that the student alone would not.
        with isolated_rng():
            built = not isinstance(teacher, dict)
            own_input = True
            options: Sequence[str] = ()
            if not built:
                teacher, named, own_input, options = build_teacher(teacher)
                teacher_ckpt = teacher_ckpt or named
            # Both are built by now; their annotations are of what was given.
            pair: Any = (architecture, teacher)
            whole, found = complete(distiller, *pair)
            super().__init__(
                distiller=whole,
                teacher=teacher,
                architecture=architecture,
                data_preprocessor=data_preprocessor,
                teacher_trainable=teacher_trainable,
                **kwargs,
            )
        self.found_in_models = found
        if teacher_ckpt:
            load_teacher(self.teacher, teacher_ckpt)
        self.teacher_ckpt = teacher_ckpt
        #: Options of the teacher that fit any checkpoint; for the log.
        self.teacher_options = tuple(options)
        self.allow_random_teacher = allow_random_teacher
        # A built teacher is the caller's responsibility.
        self._teacher_ready = bool(
            teacher_ckpt or built or allow_random_teacher
        )
        check_inheritance(self.student, self.teacher, inherit_teacher)
        self.inherit_teacher = tuple(inherit_teacher)
        self.nonfinite_guard: NonFiniteGuard | None = None
        # Names of the hooks that look after this model.
        self.attending_hooks: set[str] = set()
        self.teacher_input: TeacherInput | None = None
        if not teacher_trainable:
            self._hide_teacher()
            if match_teacher_input and not own_input:
                announce_shared_input()
            elif match_teacher_input:
                adapter = TeacherInput(
                    self.data_preprocessor, self.teacher.data_preprocessor
                )
                self.teacher_input = None if adapter.identity else adapter
            self._teacher_pass = TeacherPass(
                self.teacher, self.distiller, self.teacher_input, **manner
            )
            self._first_iteration = True
        announce_teacher(self.teacher, teacher_ckpt, allow_random_teacher)

    @property
    def teacher(self) -> BaseModel:
        """The teacher, which is not a submodule."""
        hidden = self.__dict__.get('_hidden_teacher')
        return self._modules['teacher'] if hidden is None else hidden

    def __getattr__(self, name: str) -> Any:
        """Find the student's parts where hooks of its library seek them.

        MMDetection's hooks say ``runner.model.bbox_head.use_l1`` or
        ``runner.model.set_epoch(...)``, MMPretrain's ``runner.model.head``.
        """
        try:
            return super().__getattr__(name)
        except AttributeError:
            student = self.__dict__.get('_modules', {}).get('architecture')
            if student is None or name not in (*student._modules, 'set_epoch'):
                raise
            return getattr(student, name)

    def _hide_teacher(self) -> None:
        teacher = self._modules.pop('teacher')
        # Past nn.Module.__setattr__, which would register it again.
        teacher.eval()  # which of some models returns nothing
        self.__dict__['_hidden_teacher'] = teacher

    def init_weights(self) -> None:
        """Initialise student and distiller; the teacher has its weights.

        Raises:
            UserError: If it has none.
        """
        if not self._teacher_ready:
            raise UserError(RANDOM_TEACHER)
        with isolated_rng(gpu=True):
            self.distiller.init_weights()
        first = not self.is_init  # MMEngine does nothing the second time
        super().init_weights()
        if first:
            inherit(self.student, self.teacher, self.inherit_teacher)

    def loss(
        self, batch_inputs: Tensor, data_samples: list | None = None
    ) -> dict[str, Tensor]:
        """Compute task and distillation losses.

        Args:
            batch_inputs (Tensor): Preprocessed images, shape (N, 3, H, W).
            data_samples (list, optional): Their annotations.

        Returns:
            dict[str, Tensor]: ``student.*`` losses of the student, and
            ``distill.*`` losses and statistics of the distiller.
        """
        if self.teacher_trainable:
            return super().loss(batch_inputs, data_samples)
        if self.distillation_stopped:
            losses = self._student_losses(batch_inputs, data_samples)
            losses.update(self._touch_distiller())
            return losses

        self.distiller.set_deliveries_override(False)
        self._run_teacher(batch_inputs, data_samples)
        self.distiller.set_deliveries_override(True)
        with self.distiller.student_recorders, self.distiller.deliveries:
            losses = self._student_losses(batch_inputs, data_samples)
        self._teacher_pass.run_on_student_rois(batch_inputs)
        if self._first_iteration:
            if self.student_trainable and torch.is_grad_enabled():
                check_student_gradient(self.distiller)
            self._first_iteration = False
            # In a run alone; a step by hand has no hooks.
            if self.training and _iterations_done() is not None:
                announce_absent_parts(self.attending_hooks)
        losses.update(
            add_prefix(self.distiller.compute_distill_losses(), 'distill')
        )
        return losses

    def _run_teacher(
        self, batch_inputs: Tensor, data_samples: list | None
    ) -> None:
        self._teacher_pass.run(batch_inputs, data_samples)

    def _student_losses(
        self, batch_inputs: Tensor, data_samples: list | None
    ) -> dict[str, Tensor]:
        trainable = self.student_trainable or self.calculate_student_loss
        with torch.set_grad_enabled(torch.is_grad_enabled() and trainable):
            losses = self.student(batch_inputs, data_samples, mode='loss')
        return (
            add_prefix(losses, 'student')
            if (self.calculate_student_loss)
            else {}
        )

    def _touch_distiller(self) -> dict[str, Tensor]:
        """A zero that depends on all distiller parameters.

        DDP waits for the gradient of every parameter. This spares the walk
        over the graph that ``find_unused_parameters`` would cost.
        """
        parameters = [
            p for p in self.distiller.parameters() if p.requires_grad
        ]
        if not parameters or not dist.is_initialized():
            return {}
        return {'distill.loss_stopped': sum(p.sum() for p in parameters) * 0.0}

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict]:
        """As MMEngine's, but refuse to step on a loss that is not finite.

        ``nonfinite_guard``, which
        :class:`~mmdiffkd.engine.hooks.FiniteLossHook` sets, may decide
        otherwise.

        Raises:
            NonFiniteLossError: If any is NaN or infinite; the message names
                the components and the iteration.
        """
        loss, log_vars = super().parse_losses(losses)
        finite = torch.isfinite(loss.detach()).all()
        guard = self.nonfinite_guard
        if finite if guard is None else guard.agree(finite):
            if guard is not None:
                guard.good_batch()
            return loss, log_vars
        done = _iterations_done()
        # Counted as MMEngine's checkpoints and log lines are.
        at = 'unknown' if done is None else done + 1
        bad = nonfinite_parts(losses, self.distiller)
        message = (
            f'loss is not finite at iteration {at}: '
            f'{", ".join(bad) or "only their sum"}. No step was taken with '
            'it. Lower the learning rate or the weight of that loss, clip '
            'gradients, or use bfloat16 instead of float16'
        )
        if guard is None:
            raise NonFiniteLossError(message)
        return guard.handle(message, not finite), guard.log_vars()

    def train(self, mode: bool = True) -> 'FrozenTeacherDistill':
        """Set the mode of student and distiller; the teacher stays in eval."""
        super().train(mode)
        if not self.teacher_trainable:
            self.teacher.eval()
        return self

    def set_module_inplace_false(self, architecture: Any, varstr: str) -> None:
        """Turn in-place activations off, so that none overwrites a record.

        It costs no memory in training: a norm saves its input and an
        activation its output, whether in place or not.
        """
        if isinstance(architecture, nn.Module):
            module: Any  # the switch is of some classes only
            for module in architecture.modules():
                if hasattr(module, 'inplace'):
                    module.inplace = False

    def _apply(self, fn: Any, *args: Any, **kwargs: Any) -> nn.Module:
        """Take the teacher along to another device or dtype."""
        super()._apply(fn, *args, **kwargs)
        hidden = self.__dict__.get('_hidden_teacher')
        if hidden is not None:
            hidden._apply(fn, *args, **kwargs)
        return self

    def __deepcopy__(self, memo: dict) -> 'FrozenTeacherDistill':
        """Copy all but the teacher, which both then share (as EMA does)."""
        if not self.teacher_trainable:
            memo[id(self.teacher)] = self.teacher
        other = self.__class__.__new__(self.__class__)
        memo[id(self)] = other
        for key, value in self.__dict__.items():
            # Those of a run, and thereby of one model.
            if key not in ('nonfinite_guard', '_teacher_pass'):
                other.__dict__[key] = copy.deepcopy(value, memo)
        other.nonfinite_guard = None
        if not self.teacher_trainable:
            # The copied recorders hang on no module of the shared teacher.
            other.distiller.prepare_from_teacher(other.teacher)
            other._teacher_pass = self._teacher_pass.of(other.distiller)
        return other

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any
    ) -> None:
        """Accept MMRazor's and plain student checkpoints as well.

        Raises:
            UserError: If nothing in it fits the student.
        """
        if not self.teacher_trainable:
            to_own_keys(state_dict, prefix, self.architecture.state_dict())
        super()._load_from_state_dict(state_dict, prefix, *args)


def _iterations_done() -> int | None:
    """What the runner has counted; None without one."""
    return MessageHub.get_current_instance().get_info('iter')
