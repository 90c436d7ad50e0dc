# Copyright (c) mmdiffkd contributors.
"""Let a docstring name an object of another module by its last name.

``:class:`FadeIn``` is right in the sources, where it is imported; Sphinx alone
would look for it in the module of the docstring and leave it without a link.
"""

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode


def resolve(
    app: Sphinx,
    env: BuildEnvironment,
    node: pending_xref,
    content: nodes.Element,
) -> nodes.Element | None:
    """Link to the only object whose name ends like this, if there is one."""
    if node.get('refdomain') != 'py':
        return None
    ending = '.' + node['reftarget'].lstrip('.')
    found = {
        (entry.docname, entry.node_id)
        for name, entry in env.get_domain('py').objects.items()
        if name.endswith(ending)
    }
    if len(found) != 1:
        return None
    ((page, anchor),) = found
    return make_refnode(
        app.builder, node['refdoc'], page, anchor, content, ending[1:]
    )


def setup(app: Sphinx) -> dict:
    """Ask :func:`resolve` where Sphinx finds nothing."""
    app.connect('missing-reference', resolve)
    return dict(parallel_read_safe=True, parallel_write_safe=True)
