# Copyright (c) mmdiffkd contributors.
"""Two sets of values for the choices that the paper leaves open."""

from typing import Any

RECIPES: dict[str, dict[str, Any]] = dict(
    # Structure, initialisation and gradients of the paper's published code.
    released=dict(
        zero_init=False,
        student_norm=False,
        projection_norm=True,
        output_gain=1.0,
        initial_gamma=None,
        normalize=False,
        kd_grad_to_denoiser=True,
    ),
    # What the ablation in docs/en/results.md ends with: the diffusion model
    # learns the teacher and nothing else, and until it has, the chain does no
    # harm. The teacher's feature comes to it with unit variance, the student's
    # with no more, whatever their size: then no learning rate that suits the
    # student is too large for the projections.
    tuned=dict(
        zero_init=True,  # but with prediction='clean'
        student_norm=True,
        projection_norm=False,
        output_gain=0.1,
        initial_gamma=0.999,
        normalize=True,
        kd_grad_to_denoiser=False,
    ),
)


def resolve_recipe(recipe: str, **options: Any) -> dict[str, Any]:
    """Fill in what is left open.

    Args:
        recipe (str): ``'released'`` or ``'tuned'``.
        **options: Values by name; those that are None are the recipe's.

    Returns:
        Dict[str, Any]: A value for each name.

    Raises:
        ValueError: If the recipe is unknown.
    """
    if recipe not in RECIPES:
        raise ValueError(
            f"recipe '{recipe}' is unknown; choose one of {sorted(RECIPES)}"
        )
    return {
        name: RECIPES[recipe][name] if value is None else value
        for name, value in options.items()
    }
