# Copyright (c) mmdiffkd contributors.
"""DSKD as a connector of MMRazor."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from mmdiffkd.diffusion import ClassifierGuidance, PairedOutput, SelfDiffusion
from mmdiffkd.diffusion.builder import build_diffusion
from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError, closest

from .diffusion_connector import DiffusionConnector
from .teacher_head import ACTIVATIONS, TeacherHead

TARGETS = ('teacher', 'label')
GUIDANCE = dict(
    head=None, pool=False, activation='softmax', target='teacher', scale=1.0
)


@MODELS.register_module()
class DSKDConnector(DiffusionConnector):
    """Denoise the student feature, guided by the teacher's classifier.

    Its student side is the student's original feature, projected; its
    teacher side is that feature after denoising, detached. Both are in units
    of the root mean square of the teacher's feature.

    Args:
        student_channels (int): Channels of the student feature. The
            config may leave out both: ``FrozenTeacherDistill`` reads them
            from the models.
        teacher_channels (int): Channels of the teacher feature.
        guidance (dict, optional): How the teacher guides. Defaults to None:
            not at all. Its keys:

            - ``head`` (str | list[str]): Modules of the teacher that
              classify the recorded feature, see
              :class:`~mmdiffkd.models.connectors.teacher_head.TeacherHead`.
            - ``pool`` (bool): Whether the feature is averaged over its
              positions first, as in image classification. Defaults to False.
            - ``activation`` (str): ``'softmax'`` or ``'sigmoid'``. Defaults
              to ``'softmax'``.
            - ``target`` (str): What ``y`` is in ``log p(y | x0)``.
              ``'teacher'`` is the most probable outcome of the teacher's own
              feature, ``'label'`` the argument ``labels``. Defaults to
              ``'teacher'``.
            - ``scale`` (float): s, 0 for no guidance. Defaults to 1.0.
        init_cfg (dict, optional): Initialisation config of MMEngine.
            Defaults to None.
        diffusion_ckpt (str, optional): File with the teacher's diffusion
            model, see :class:`DiffusionConnector`. Defaults to None.
        **diffusion: Further arguments of
            :class:`~mmdiffkd.diffusion.SelfDiffusion`.

    Raises:
        UserError: If one of them is unknown or impossible.
    """

    denoised = 'teacher'

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        guidance: dict | None = None,
        init_cfg: dict | None = None,
        diffusion_ckpt: str | None = None,
        **diffusion: Any,
    ) -> None:
        super().__init__(init_cfg, diffusion_ckpt)
        built: Any = build_diffusion(
            type(self).__name__,
            student_channels,
            teacher_channels,
            core=SelfDiffusion,
            **diffusion,
        )
        self.diffusion = built
        self.guidance = None if guidance is None else _checked(guidance)
        self.teacher_head: TeacherHead | None = None

    def prepare_from_teacher(self, teacher: nn.Module) -> None:
        """Find the classifier in the teacher; it stays the teacher's.

        Raises:
            UserError: If it is not there or does not fit the feature.
        """
        if self.guidance is not None:
            options = {
                key: self.guidance[key]
                for key in ('head', 'pool', 'activation')
            }
            self.teacher_head = TeacherHead(
                teacher, channels=self.diffusion.teacher_channels, **options
            )

    def forward(
        self,
        s_feature: Tensor,
        t_feature: Tensor,
        labels: Tensor | None = None,
    ) -> PairedOutput:
        """See :meth:`SelfDiffusion.forward`.

        Args:
            s_feature (Tensor): Student feature.
            t_feature (Tensor): Teacher feature.
            labels (Tensor, optional): For ``target='label'``, see
                :meth:`TeacherHead.from_labels`; unused otherwise.

        Returns:
            PairedOutput: Both sides, further losses and statistics.
        """
        return self.forward_train(s_feature, t_feature, labels)

    def forward_train(
        self,
        s_feature: Tensor,
        t_feature: Tensor,
        labels: Tensor | None = None,
    ) -> PairedOutput:
        """What :meth:`forward` does."""
        return self.diffusion(
            s_feature, t_feature, guidance=self._guide(t_feature, labels)
        )

    def _guide(
        self, t_feature: Tensor, labels: Tensor | None
    ) -> ClassifierGuidance | None:
        if self.guidance is None or self.guidance['scale'] == 0:
            return None
        head = self.teacher_head
        if head is None:
            raise UserError(
                'guidance needs the teacher, which no distiller has handed '
                'over: use type=mmdiffkd.DiffKDDistiller and name this '
                'connector in connector_forward_mappings'
            )
        feature = self.diffusion.as_map(t_feature, 'teacher').detach()
        if self.guidance['target'] == 'teacher':
            target = head.predict(feature)
        elif labels is None:
            raise UserError(
                "guidance.target='label' needs the argument `labels` in "
                'connector_forward_mappings, for example labels=dict('
                "recorder='task', from_student=True, data_idx=1) with the "
                "student recorder task=dict(type='ModuleInputs', "
                "source='head.loss_module')"
            )
        else:
            target = head.from_labels(labels, feature)
        return ClassifierGuidance(
            head.log_prob(target), self.guidance['scale']
        )


def _checked(guidance: Mapping[str, Any]) -> dict:
    """The config of the guidance with its defaults filled in."""
    for key in guidance:
        if key not in GUIDANCE:
            raise UserError(
                f'DSKDConnector: guidance has the unknown key '
                f"'{key}'{closest(key, GUIDANCE)}"
            )
    options = {**GUIDANCE, **guidance}
    if not options['head']:
        raise UserError(
            "DSKDConnector: guidance.head must name the teacher's classifier, "
            "such as 'head.fc'"
        )
    for key, known in (('target', TARGETS), ('activation', ACTIVATIONS)):
        if options[key] not in known:
            raise UserError(
                f'DSKDConnector: guidance.{key} must be one of '
                f'{list(known)}, got {options[key]!r}'
            )
    try:
        ClassifierGuidance(_unused, options['scale'])
    except (ValueError, TypeError) as error:
        raise UserError(f'DSKDConnector: guidance.scale: {error}') from error
    return options


def _unused(feature: Tensor) -> Tensor:
    raise NotImplementedError
